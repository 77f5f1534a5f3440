"""Inputs of the verdicts besides the collected tables: the claims and the origin of the runs.

Snakemake imports this module at every start, so it avoids the imports that only the tests of claims need.
"""

from typing import Any, NamedTuple

from lop.claims.registry import load_claims
from lop.data.sets import ImageSource
from lop.figures.registry import Figure, load_figure
from lop.problems import PROBLEMS, first_run


class Setting(NamedTuple):
    """Origin of the runs of a table."""

    scale: str
    images: str  # source of the images, "" if the runs use none
    as_published: bool  # whether the runs have the paper's parameters and images


def judged_from(figure: Figure, images: ImageSource) -> dict[str, Any]:
    """Return everything that the verdicts depend on besides the collected table, as plain JSON values.

    These are the claims, the keys of figures.yaml that they refer to, and whether the runs are as published.
    """
    claims = load_claims(figure.name)
    seen = {"curves", "to", "bin", "factor", "unit"}  # keys of a panel that `judge` reads
    return {
        "claims": [claim.model_dump(mode="json") for _, claim in claims],
        "panels": {place: figure.curve_panels[place].model_dump_json(include=seen) for place, _ in claims},
        "settings": {place: setting_of(figure, place, images) for place, _ in claims},
    }


def setting_of(figure: Figure, place: int, images: ImageSource) -> Setting:
    """Return the origin of a panel's runs."""
    panel, published = figure.curve_panels[place], load_figure(figure.name, "paper").curve_panels[place]
    problems = {source.problem for source in panel.curves.values()}
    source = images.source if any(PROBLEMS[name].data for name in problems) else ""
    same = panel.to == published.to and panel.curves == published.curves
    alike = same and all(_parameters(one, figure.scale) == _parameters(one, "paper") for one in panel.curves.values())
    return Setting(figure.scale, source, alike and source in ("", "original"))


def _parameters(source: Any, scale: str) -> dict[str, Any]:
    """Return the parameters of a curve's runs except their length, since steps beyond the figure have no effect."""
    return first_run(source.problem, source.config, scale, source.setting).identity["parameters"]
