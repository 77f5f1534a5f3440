"""Image sets that problems learn from: built-in images drawn from fonts, and the original data sets."""

from lop.common.extras import require

require("workflow")
