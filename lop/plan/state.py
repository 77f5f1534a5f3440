"""Which of the wanted runs exist, and why the others have to be made."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from lop.common.errors import InputError
from lop.runs.identity import Differences, differences
from lop.runs.metrics import check_belongs
from lop.runs.spec import CHECKPOINT, IDENTITY, RunSpec

MISSING, DAMAGED, OTHER_CODE = "missing", "damaged", "of other code"
INTERRUPTED, LONGER, SHORTER = "interrupted", "longer than before", "shorter than before"
ALIKE = 3  # parameters in which a run may differ from a wanted one to be named as its predecessor


class State(NamedTuple):
    """Of one wanted run."""

    why: str  # why it has to be made; "" if it exists
    about: dict[str, Any]  # the metadata of its metrics, if they exist


def states(specs: Iterable[RunSpec], results: Path) -> dict[Path, State]:
    """Return the state of every run, by its metrics file relative to the results folder."""
    specs = list(specs)
    found = {spec.path: _state(spec, results) for spec in specs}
    wanted = {spec.key for spec in specs}
    groups: dict[str, dict[Path, Any]] = {}
    for spec in specs:
        if found[spec.path].why == MISSING:
            others = groups.setdefault(spec.problem.name, _other_groups(results / spec.problem.name, wanted))
            found[spec.path] = State(_why_new(spec, others), {})
    return found


def _state(spec: RunSpec, results: Path) -> State:
    path, folder = results / spec.path, results / spec.folder
    if path.is_file():
        try:
            return State("", check_belongs(path, spec))
        except InputError:
            return State(DAMAGED, {})
    lengths = [int(other.stem.rpartition("-")[2]) for other in folder.glob("metrics-*.parquet")]
    if any(length > spec.horizon for length in lengths):
        return State(SHORTER, {})
    if lengths:
        return State(LONGER, {})
    return State(INTERRUPTED if (folder / CHECKPOINT).exists() else MISSING, {})


def _other_groups(folder: Path, wanted: set[str]) -> dict[Path, dict[str, Any]]:
    """The identities of a problem's runs that nothing wants now, by folder."""
    found = {}
    for path in sorted(folder.glob(f"*/*/{IDENTITY}")):
        if path.parent.name not in wanted:
            try:
                found[path.parent] = dict(json.loads(path.read_text()))
            except (OSError, ValueError):
                continue
    return found


def _why_new(spec: RunSpec, others: Mapping[Path, Mapping[str, Any]]) -> str:
    """In what a run differs from the most similar one of its seed that nothing wants any more."""
    alike: list[Differences] = []
    for folder, identity in others.items():
        if any((folder / spec.folder.name).glob("metrics-*.parquet")):
            alike.append(differences(identity, spec.identity))
    nearest = min(alike, key=lambda one: len(one.facts), default=None)
    if nearest is None or len(nearest.facts) > ALIKE:
        return MISSING
    return f"of another {next(iter(nearest.facts))}" if nearest.facts else OTHER_CODE
