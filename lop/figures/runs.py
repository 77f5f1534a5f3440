"""Runs that a figure shows, and the path of the table collected from them and from files of results."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lop.common.errors import InputError
from lop.common.sources import fingerprint
from lop.data.sets import ImageSource
from lop.figures.registry import Figure, Method, Source, load_figure
from lop.figures.results_file import digest
from lop.problems import PROBLEMS, first_run
from lop.runs.scale import scale_path
from lop.runs.spec import KEY_LENGTH, Conditions, RunSpec


@dataclass(frozen=True)
class Shown:
    """A run as part of a curve."""

    panel: int
    curve: str
    spec: RunSpec


def shown_runs(figure: Figure, conditions: Conditions) -> list[Shown]:
    """Return the runs of a figure, ordered by panel, curve and seed.

    Raises:
        InputError: a config or setting of the figure does not exist.
    """
    return [
        Shown(place, curve, first.with_seed(seed))
        for place, panel in figure.curve_panels.items()
        for curve, source in panel.run_curves.items()
        for first in [_first_run(figure, curve, source, conditions)]
        for seed in sorted(panel.seeds_of(curve))
    ]


def _first_run(figure: Figure, curve: str, source: Source, conditions: Conditions) -> RunSpec:
    try:
        return first_run(source.problem, source.config, figure.scale, source.setting, conditions)
    except InputError as error:
        raise InputError(f"{figure.name}: curve {curve}: {error}") from None


def appearances(figure: Figure, conditions: Conditions) -> dict[int, dict[str, Method]]:
    """Return {panel: {curve: appearance}}, with the labels of the curves.

    A curve of a panel with `colours_of` whose runs that figure also shows has the colour, line and marker that it has
    there.
    """

    def group(source: Source) -> Path:
        return first_run(source.problem, source.config, figure.scale, source.setting, conditions).group

    found = {}
    for place, panel in figure.curve_panels.items():
        looks = {curve: figure.methods[curve] for curve in panel.curves}
        if panel.colours_of:
            other = load_figure(panel.colours_of, figure.scale)
            twins = {
                group(runs): curve for one in other.curve_panels.values() for curve, runs in one.run_curves.items()
            }
            for curve, runs in panel.run_curves.items():
                if twin := twins.get(group(runs)):
                    looks[curve] = other.methods[twin].model_copy(update={"label": looks[curve].label})
        found[place] = looks
    return found


def by_path(runs: Iterable[Shown]) -> dict[Path, RunSpec]:
    """Return {path of the metrics relative to the results folder: run}.

    A run that several curves show occurs once, with the config and setting of the first.
    """
    found: dict[Path, RunSpec] = {}
    for run in runs:
        found.setdefault(run.spec.path, run.spec)
    return found


def table_path(figure: Figure, runs: Iterable[Shown]) -> Path:
    """Return the path of a figure's collected table, relative to the results folder.

    The file name is a digest of the runs, of the files of results, and of how they are collected, so an existing table
    is always up to date.
    """
    return Path("tables", figure.name, f"{table_key(figure, runs)}.parquet")


def table_key(figure: Figure, runs: Iterable[Shown]) -> str:
    """Return the digest of a figure's runs, of its files of results, and of how they are collected.

    Raises:
        InputError: a file of results does not exist.
    """
    files = [
        [place, curve, source.method, digest(source.path), sorted(panel.seeds_of(curve))]
        for place, panel in figure.curve_panels.items()
        for curve, source in panel.file_curves.items()
    ]
    collected = {
        "panels": _collection(figure),
        "runs": [[run.panel, run.curve, str(run.spec.path)] for run in runs],
        **({"files": files} if files else {}),
    }
    return fingerprint(collected)[:KEY_LENGTH]


def collection_key(figure: Figure) -> str:
    """Return the digest of how a figure's table is collected, independent of its runs."""
    return fingerprint(_collection(figure))[:KEY_LENGTH]


def _collection(figure: Figure) -> dict[int, dict[str, Any]]:
    return {place: panel.collected_from() for place, panel in figure.curve_panels.items()}


def all_have_paper_parameters(figure: Figure, images: ImageSource) -> bool:
    """Return whether all panels with curves show only runs with the paper's parameters and images."""
    return all(has_paper_parameters(figure, place, images) for place in figure.curve_panels)


def has_paper_parameters(figure: Figure, place: int, images: ImageSource) -> bool:
    """Return whether a panel shows only runs, and these have the paper's parameters and images."""
    if not scale_path("paper").is_file():
        return False
    panel, published = figure.curve_panels[place], load_figure(figure.name, "paper").curve_panels[place]
    sets = {PROBLEMS[source.problem].data for source in panel.run_curves.values()} - {""}
    own_images = all(images.source_of(name) == "original" for name in sets)
    same = panel.to == published.to and panel.curves == published.curves == panel.run_curves
    return (
        own_images
        and same
        and all(_parameters(one, figure.scale) == _parameters(one, "paper") for one in panel.run_curves.values())
    )


def _parameters(source: Source, scale: str) -> dict[str, Any]:
    """Return the parameters of a curve's runs except their length, since steps beyond the figure have no effect."""
    return first_run(source.problem, source.config, scale, source.setting).identity["parameters"]
