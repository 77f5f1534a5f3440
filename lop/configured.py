"""What config/config.yaml says, for what is run by hand; the workflow has Snakemake read it."""

from typing import Any

from lop.paths import CONFIG, RESULTS, ROOT
from lop.runs.parameters import read_mapping


def configured() -> dict[str, Any]:
    """`scale`, `results` and `data`: `source`, `seed`, `sets`; paths whole, defaults where the file says nothing."""
    path = CONFIG / "config.yaml"
    config = read_mapping(path) if path.is_file() else {}
    data = {"source": "glyphs", "seed": 0, "sets": "data", **(config.get("data") or {})}
    data["sets"] = ROOT / data["sets"]
    return {"scale": config.get("scale", "laptop"), "results": ROOT / config.get("results", RESULTS), "data": data}
