"""Which runs figures want, as the configuration has them now."""

from collections.abc import Iterable
from pathlib import Path

from lop.data.sets import Images
from lop.figures.registry import RunFile, load_figure
from lop.problems import first_run
from lop.runs.spec import RunSpec


def wanted_runs(figure: str, scale: str, images: Images) -> dict[Path, RunSpec]:
    """The runs of a figure at a scale, by their files below the results folder."""
    entry = load_figure(figure, scale)
    return resolved((run for panel in entry.curve_panels.values() for run in entry.runs(panel)), images)


def resolved(runs: Iterable[RunFile], images: Images) -> dict[Path, RunSpec]:
    """Runs with their parameters, by their files.

    Raises:
        InputError: there is no such config or setting.
    """
    return {
        run.path: first_run(run.problem, run.config, run.scale, run.setting, images).with_seed(run.seed) for run in runs
    }
