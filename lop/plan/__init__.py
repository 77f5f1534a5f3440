"""Planning: which runs are missing, why, how long they take, and what they request from a scheduler."""

from lop.common.extras import require

require("workflow")
