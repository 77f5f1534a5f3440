"""Which runs figures want, as the configuration has them now."""

from collections.abc import Iterable
from pathlib import Path

from lop.data.sets import Images
from lop.figures.registry import RunFile, load_figure
from lop.problems import PROBLEMS
from lop.runs.spec import RunSpec, resolve


def wanted_runs(figure: str, scale: str, images: Images) -> dict[Path, RunSpec]:
    """The runs of a figure at a scale, by their files below the results folder."""
    entry = load_figure(figure, scale)
    return resolved((run for panel in entry.curve_panels.values() for run in entry.runs(panel)), images)


def resolved(runs: Iterable[RunFile], images: Images) -> dict[Path, RunSpec]:
    """Runs with their parameters, by their files; of all seeds of a setting, configuration is read once.

    Raises:
        InputError: there is no such config or setting.
    """
    first: dict[Path, RunSpec] = {}
    found = {}
    for run in runs:
        setting = run.path.parents[1]
        if setting not in first:
            problem = PROBLEMS[run.problem]
            first[setting] = resolve(problem, run.config, run.seed, run.scale, run.setting, images=images)
        found[run.path] = first[setting].with_seed(run.seed)
    return found
