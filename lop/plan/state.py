"""State of the requested runs: which of them exist, and why the others do not."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from lop.common.errors import InputError
from lop.runs.identity import Differences, differences
from lop.runs.metrics import check_belongs, read_about
from lop.runs.published import RUNS, stored
from lop.runs.spec import CHECKPOINT, RunSpec, metrics_files, seed_folders

MISSING, DAMAGED, OTHER_CODE = "missing", "damaged", "of other code"
INTERRUPTED, LONGER, SHORTER = "interrupted", "longer than before", "shorter than before"
ALIKE = 3  # an existing run counts as an earlier version of a requested one if at most this many parameters differ


class State(NamedTuple):
    """State of one requested run."""

    why: str  # why it remains to be done; "" if it exists
    about: dict[str, Any]  # the metadata of its metrics, if they exist


def states(specs: Iterable[RunSpec], results: Path) -> dict[Path, State]:
    """Return the state of every run, keyed by its metrics file relative to the results folder."""
    specs = list(specs)
    found = {spec.path: _state(spec, results) for spec in specs}
    wanted = {spec.key for spec in specs}
    others: dict[str, list[dict[str, Any]]] = {}
    for spec in specs:
        if found[spec.path].why == MISSING:
            problem = spec.problem.name
            if problem not in others:
                others[problem] = [one for place in (results, RUNS) for one in _other_runs(place / problem, wanted)]
            found[spec.path] = State(_why_new(spec, others[problem]), {})
    return found


def _state(spec: RunSpec, results: Path) -> State:
    path, folder = stored(spec.path, results), results / spec.folder
    if path.is_file():
        try:
            return State("", check_belongs(path, spec))
        except InputError:
            return State(DAMAGED, {})
    lengths = metrics_files(folder).values()
    if not (folder / CHECKPOINT).exists():
        return State(MISSING, {})
    if any(length > spec.horizon for length in lengths):
        return State(SHORTER, {})
    return State(LONGER if lengths else INTERRUPTED, {})


def _other_runs(folder: Path, wanted: set[str]) -> list[dict[str, Any]]:
    """Return the metadata of a problem's runs that are no longer requested."""
    found = []
    for group in sorted(folder.glob("*/*")):
        if group.name not in wanted:
            for path in (path for folder in seed_folders(group) for path in metrics_files(folder)):
                with suppress(InputError):
                    found.append(read_about(path))
    return found


def _why_new(spec: RunSpec, others: Iterable[Mapping[str, Any]]) -> str:
    """Return how a run differs from the most similar existing run of its seed, with its name or its parameters."""
    name, parameters = (spec.config, spec.setting), spec.origin["parameters"]
    alike: list[Differences] = []
    for about in others:
        same = (about["config"], about["setting"]) == name or about["origin"]["parameters"] == parameters
        if same and about["origin"]["seed"] == spec.seed:
            alike.append(differences(about["origin"], spec.origin))
    nearest = min(alike, key=lambda one: len(one.facts), default=None)
    if nearest is None or len(nearest.facts) > ALIKE:
        return MISSING
    return f"of another {next(iter(nearest.facts))}" if nearest.facts else OTHER_CODE
