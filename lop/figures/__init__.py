"""Figures drawn from the metrics of runs: `registry`, `collect`, `statistics`, `plotting`, `draw`."""

from lop.common.extras import require

require("workflow")
