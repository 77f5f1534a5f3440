"""Tests of the paper's claims on the reproduced figures, as defined in config/claims.yaml."""

from lop.common.extras import require

require("workflow")
