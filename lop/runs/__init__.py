"""Runs of all problems: parameters, identity, checkpoints, metrics and progress."""

from lop.common.extras import require

require("workflow")
