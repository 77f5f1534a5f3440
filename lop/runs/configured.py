"""What config/config.yaml says, for what is run by hand; the workflow has Snakemake read it."""

import argparse
from pathlib import Path
from typing import Any

from lop.common.paths import CONFIG, RESULTS, ROOT
from lop.data.sets import SOURCES
from lop.runs.parameters import read_mapping


def configured() -> dict[str, Any]:
    """`scale`, `results` and `data`: `source`, `seed`, `sets`; paths whole, defaults where the file says nothing."""
    path = CONFIG / "config.yaml"
    config = read_mapping(path) if path.is_file() else {}
    data = {"source": "glyphs", "seed": 0, "sets": "data", **(config.get("data") or {})}
    data["sets"] = ROOT / data["sets"]
    return {"scale": config.get("scale", "laptop"), "results": ROOT / config.get("results", RESULTS), "data": data}


def add_options(parser: argparse.ArgumentParser, images: bool = False) -> None:
    """--scale and --results, for `images` also --data-source and --data-seed; defaults are what the file says."""
    default = configured()
    add = parser.add_argument
    add("--scale", default=default["scale"], help="of the runs (default: %(default)s)")
    add("--results", type=Path, default=default["results"], help="folder of all runs (default: %(default)s)")
    if images:
        add("--data-source", choices=SOURCES, default=default["data"]["source"], help="(default: %(default)s)")
        add("--data-seed", type=int, default=int(default["data"]["seed"]), help="(default: %(default)s)")
