"""The paper's claims about each figure: config/claims.yaml, validated against the figures.

The head of that file documents the keys.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from lop.common.errors import InputError, hint
from lop.common.paths import CONFIG, shown
from lop.figures.registry import Figure, Panel, figure_names, load_figure, read_registry
from lop.runs.parameters import Number, Strict, Whole, checked, read_mapping

CLAIMS = CONFIG / "claims.yaml"


def _is_part(window: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= window[0] < window[1] <= 1:
        raise ValueError("[from, to], ascending fractions of the x axis between 0 and 1")
    return window


def _are_steps(steps: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= steps[0] < steps[1]:
        raise ValueError("[from, to], ascending numbers of steps")
    return steps


class Side(Strict):
    """Side of a comparison: the mean of a curve in a window of the x axis, given as fractions or in steps."""

    curve: str | Whole
    window: Annotated[tuple[Number, Number], AfterValidator(_is_part)] | None = None
    steps: Annotated[tuple[Whole, Whole], AfterValidator(_are_steps)] | None = None

    @model_validator(mode="after")
    def _has_one_window(self) -> "Side":
        if (self.window is None) == (self.steps is None):
            raise ValueError(f"`window` or `steps` (found {'none' if self.steps is None else 'both'})")
        return self

    def span(self, to: int) -> tuple[float, float]:
        """Return the window in steps on an axis that ends at `to`."""
        if self.steps:
            return self.steps
        assert self.window is not None
        first, last = (round(end * to, 6) for end in self.window)  # 0.29 * 100 is 28.999999999999996
        return first, last


class Claim(Strict):
    """Statement of the paper about two curves, two windows, or a curve and a number."""

    says: str = Field(min_length=1)
    panel: str | Whole | None = None
    higher: Side | None = None
    lower: Side | Number | None = None
    near: Side | None = None
    to: Side | Number | None = None
    within: Number | None = Field(None, gt=0)
    paper: tuple[Number, Number] | None = None
    needs: Whole = Field(0, ge=0)

    @field_validator("paper")
    @classmethod
    def _in_order(cls, paper: tuple[float, float] | None, info: ValidationInfo) -> tuple[float, float] | None:
        if paper and info.data.get("higher") and not paper[0] > paper[1]:
            raise ValueError("[value, value] of `higher` and `lower`, the larger first")
        return paper

    @model_validator(mode="after")
    def _is_one_comparison(self) -> "Claim":
        given = {key for key in ("higher", "lower", "near", "to", "within") if getattr(self, key) is not None}
        if given not in ({"higher", "lower"}, {"near", "to", "within"}):
            found = ", ".join(sorted(given)) or "none"
            raise ValueError(f"`higher` and `lower`, or `near`, `to` and `within` (found {found})")
        if self.is_level and self.paper:
            raise ValueError("no `paper` if a side is a number, which already is the paper's value")
        return self

    @property
    def sides(self) -> tuple[Side, Side | float]:
        """The side claimed to be higher or near, and the side that it is compared with."""
        first, second = self.higher or self.near, self.to if self.lower is None else self.lower
        assert first is not None
        assert second is not None
        return first, second

    @property
    def is_order(self) -> bool:
        """Whether one side is claimed to be higher; otherwise both are claimed to be alike."""
        return self.higher is not None

    @property
    def is_level(self) -> bool:
        """Whether a curve is compared with a number."""
        return not isinstance(self.sides[1], Side)

    @property
    def curves(self) -> list[str | int]:
        """Curves of both sides, by name or position."""
        return [side.curve for side in self.sides if isinstance(side, Side)]


def load_claims(name: str, path: Path = CLAIMS) -> list[tuple[int, Claim]]:
    """Return the claims about a figure, each with the position of its panel.

    Raises:
        InputError: a claim is invalid or refers to a panel or curve that the figure lacks at paper scale.
    """
    figure, entries = load_figure(name, "paper"), read_mapping(path).get(name) or []
    return [(_place(claim, figure, where), claim) for where, claim in _claims(entries, name, path)]


def expanded(names: Iterable[str], claimed: Sequence[str]) -> list[str]:
    """Return the names of figures with claims, in place of a figure without claims those of its panels.

    Raises:
        InputError: there are no claims about a figure and its panels.
    """
    found, figures = [], read_registry().figures
    for name in names:
        panels = [name] if name in claimed else figures.get(name, {}).get("panels")
        with_claims = [panel for panel in panels if panel in claimed] if isinstance(panels, list) else []
        if not with_claims:
            allowed = f"{', '.join(claimed)}, and figures with these panels{hint(name, claimed)}"
            raise InputError(f"figure: found {name!r}, allowed: {allowed}")
        found += with_claims
    return list(dict.fromkeys(found))


def claimed_figures(path: Path = CLAIMS) -> list[str]:
    """Return the names of the figures with claims, in the order of figures.yaml.

    Raises:
        InputError: there are claims about an unknown figure.
    """
    names, claimed = figure_names(), read_mapping(path)
    for name in claimed:
        if name not in names:
            allowed = f"{', '.join(names)}{hint(name, names)}"
            raise InputError(f"{shown(path)}: found figure {name!r}, allowed: {allowed}")
    return [name for name in names if name in claimed]


def _claims(entries: Any, name: str, path: Path) -> Iterator[tuple[str, Claim]]:
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(f"{shown(path)}: {name}: found {entries!r}, allowed: a list of claims, of `key: value` lines")
    for number, entry in enumerate(entries, 1):
        where = f"{shown(path)}: {name}, claim {number}"
        yield where, checked(Claim, entry, where)


def _place(claim: Claim, figure: Figure, where: str) -> int:
    """Return the position of a claim's panel, which is the only one or is given by title or number."""
    panels = figure.curve_panels
    titles = {title: place for place, panel in panels.items() for title in (panel.title, place) if title != ""}
    wanted = next(iter(panels)) if claim.panel is None and len(panels) == 1 else claim.panel
    if wanted not in titles:
        allowed = ", ".join(map(str, titles))
        raise InputError(f"{where}: key `panel`: found {claim.panel!r}, allowed: {allowed}")
    place = titles[wanted]
    _fits(claim, panels[place], where)
    return place


def _fits(claim: Claim, panel: Panel, where: str) -> None:
    for curve in claim.curves:
        if curve not in panel.curves and curve not in range(len(panel.curves)):
            allowed = ", ".join(panel.curves)
            raise InputError(f"{where}: curve: found {curve!r}, allowed: {allowed}, or 0 to {len(panel.curves) - 1}")
