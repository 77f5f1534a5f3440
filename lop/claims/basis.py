"""Inputs of the verdicts besides the collected tables: the claims and the origin of the runs.

Snakemake imports this module at every start, so it avoids the imports that only the tests of claims need.
"""

from typing import Any, NamedTuple

from lop.claims.registry import load_claims
from lop.data.sets import ImageSource
from lop.figures.registry import Figure
from lop.figures.runs import has_paper_parameters
from lop.problems import PROBLEMS


class Setting(NamedTuple):
    """Origin of the runs of a table."""

    scale: str
    images: str  # source of the images, "" if the runs use none
    paper_parameters: bool  # whether the runs have the paper's parameters and images


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
    sets = {PROBLEMS[source.problem].data for source in figure.curve_panels[place].run_curves.values()} - {""}
    sources = " and ".join(sorted({images.source_of(name) for name in sets}))
    return Setting(figure.scale, sources, has_paper_parameters(figure, place, images))
