"""Self-contained HTML page with figures, claims, costs and provenance, and archives of single figures."""

from lop.common.extras import require

require("workflow")
