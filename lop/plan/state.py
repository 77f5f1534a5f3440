"""Whether a run, or a figure's table of its runs, is there as the configuration and the code want it now."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lop.common.errors import InputError
from lop.figures.collect import read_about_collected
from lop.figures.registry import Figure
from lop.runs.metrics import read_about
from lop.runs.spec import RunSpec
from lop.runs.store import Store

MISSING, DAMAGED, OTHER_SEED, OTHER_CODE = "missing", "damaged", "of another seed", "of other code"


def state(spec: RunSpec, results: Path) -> str:
    """Why a run is to be made: `missing`, `of other code`, `of another step_size`, ...; "" if it is there.

    One that is not there, but in the store beside the results, comes back from it within a second; but a damaged file
    stands in its way, for nothing is deleted that cannot be read.
    """
    why = why_not(spec, results)
    return "" if why != DAMAGED and Store(results).metrics(spec).is_file() else why


def why_not(spec: RunSpec, results: Path) -> str:
    """Why the metrics in a run's place are not those that are wanted, in the same words; "" if they are."""
    path = results / spec.folder / "metrics.parquet"
    if not path.is_file():
        return MISSING
    try:
        about = read_about(path)
    except InputError:
        return DAMAGED
    return differs(spec, about)


def differs(spec: RunSpec, about: Mapping[str, Any]) -> str:
    """In what a finished run, by its metadata, is not the one that is wanted; "" if it is."""
    if about.get("seed") != spec.seed:
        return OTHER_SEED
    found, wanted = dict(about.get("parameters") or {}), spec.identity
    for key in {**wanted, **found}:
        if found.get(key) != wanted.get(key):
            return f"of another {key}"
    return "" if about.get("code_digest") == spec.code_digest else OTHER_CODE


def why_not_collected(figure: Figure, path: Path) -> str:
    """Why a figure's table is not made as the configuration wants it; "" if it is."""
    try:
        about = read_about_collected(path)
    except InputError:
        return DAMAGED
    wanted = json.loads(json.dumps(figure.collected_from()))
    return "" if {key: about.get(key) for key in wanted} == wanted else "of another configuration"
