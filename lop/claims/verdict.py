"""Verdicts on claims: reproduced, contradicted, not reproduced, or undecided.

A verdict follows from the interval of the mean difference. Differences are paired by seed, because runs with the same
seed share tasks and initial weights where possible. A verdict applies only to the scale of the runs: runs whose
parameters or images differ from the paper's can confirm or contradict the direction of a difference, but cannot
determine its size.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lop.claims.basis import Setting
from lop.claims.registry import Claim, Side
from lop.claims.statistics import (
    Estimate,
    differences,
    improvement_estimate,
    iqm_estimate,
    mean_estimate,
    p_value,
)
from lop.figures.registry import Figure, Panel

REPRODUCED = "reproduced"
CONTRADICTED = "contradicted"  # the interval excludes what is claimed
NOT_REPRODUCED = "not reproduced"  # the paper's own parameters, and a difference that is too small
UNDECIDED = "undecided"
ENOUGH = 0.5  # required fraction of the paper's difference; a claim is not reproduced if the interval lies below it


class Verdict(NamedTuple):
    """A row of the table of claims, in the units of the figure."""

    figure: str
    claim: str
    scale: str
    images: str  # source of the images, "" if the runs use none
    paper_parameters: bool  # whether the runs have the paper's parameters and images
    paper: tuple[float, float] | None  # the paper's values of the two sides
    first: float  # our values of the two sides
    second: float
    difference: Estimate  # mean of first - second, paired by seed
    iqm: Estimate  # interquartile mean of the same differences
    improvement: Estimate  # probability that the first side of a run is higher than the second side of another
    n: int  # number of seeds with both sides
    p: float  # p-value of the test that decides, two-sided; NaN if there is no test
    verdict: str
    why: str


def judge(claim: Claim, collected: pd.DataFrame, figure: Figure, place: int, setting: Setting) -> Verdict:
    """Test a claim on a figure's collected table.

    Args:
        claim: claim about the panel at `place`.
        collected: table from `lop.figures.collect.collect`, possibly with runs missing.
        figure: figure of the table.
        place: position of the panel.
        setting: origin of the runs.

    Returns:
        The verdict with its estimates; NaN where values are missing or not finite.
    """
    panel = figure.curve_panels[place]
    rows = collected[collected["panel"] == place]
    first, second = _paired(*(_by_seed(rows, panel, side) for side in claim.sides))
    by_seed = differences(first, second)
    verdict, why, p = _decide(claim, panel, rows, by_seed, setting)
    difference, iqm, improvement = _estimates(first, second, by_seed)
    return Verdict(
        figure=figure.name,
        claim=claim.says,
        scale=setting.scale,
        images=setting.images,
        paper_parameters=setting.paper_parameters,
        paper=claim.paper,
        first=float(np.mean(first)) if len(first) else np.nan,
        second=float(np.mean(second)) if len(second) else np.nan,
        difference=difference,
        iqm=iqm,
        improvement=improvement,
        n=len(by_seed),
        p=p,
        verdict=verdict,
        why=why,
    )


def _decide(
    claim: Claim, panel: Panel, rows: pd.DataFrame, by_seed: np.ndarray, setting: Setting
) -> tuple[str, str, float]:
    """Return the verdict, why it is negative, undecided or restricted (otherwise empty), and the p-value."""
    untested = _untested(claim, panel, rows, by_seed, setting)
    if untested:
        return UNDECIDED, untested, np.nan
    if claim.is_order:
        return *_order(claim, mean_estimate(by_seed), setting.paper_parameters), p_value(by_seed)
    return *_likeness(claim, mean_estimate(by_seed)), p_value(by_seed, claim.within)


def _untested(claim: Claim, panel: Panel, rows: pd.DataFrame, by_seed: np.ndarray, setting: Setting) -> str:
    """Return why a claim cannot be tested, or an empty string."""
    steps = rows.loc[~rows["curve"].isin(panel.levels), "bin"]
    shown = int(steps.max()) if len(steps) else 0
    needed = max(claim.needs, *(side.steps[1] for side in claim.sides if isinstance(side, Side) and side.steps), 0)
    if shown < needed:
        return f"needs {needed:,} {panel.unit}, has {shown:,}"
    missing = [curve for curve in claim.curves if _name(curve, panel) not in panel.curves]
    if missing:
        return f"has no curve {missing[0]}"
    for side in claim.sides:
        if isinstance(side, Side) and (curve := _name(side.curve, panel)) not in panel.levels:
            start, end = side.span(panel.to)
            last = rows.loc[rows["curve"] == curve, "bin"].max()  # NaN without runs
            # Some metrics have no value in the last bin.
            if last <= start or last + panel.bin < min(max(end, claim.needs), shown):
                return f"`{curve}` ends at {last:,} {panel.unit}"
    if len(by_seed) < 2:
        return f"needs two seeds, has {len(by_seed)}"
    if not np.isfinite(by_seed).all():
        return "values of a run are not finite"
    if not np.ptp(by_seed):  # an interval without width decides nothing
        return "all differences are equal"
    if claim.is_level and not setting.paper_parameters:
        return "about a number, and runs are not the paper's"
    return ""


def _order(claim: Claim, mean: Estimate, paper_parameters: bool) -> tuple[str, str]:
    """Return the verdict on a claim that one side is higher, and the reason."""
    if mean.high < 0:
        return CONTRADICTED, "the other side is higher"
    enough = ENOUGH * (claim.paper[0] - claim.paper[1]) if claim.paper else 0.0
    if paper_parameters and mean.high < enough:
        return NOT_REPRODUCED, f"less than {enough:.3g} of difference"
    return (REPRODUCED, "") if mean.low > 0 else (UNDECIDED, "the interval contains 0")


def _likeness(claim: Claim, mean: Estimate) -> tuple[str, str]:
    """Return the verdict on a claim that two sides are alike, and the reason."""
    assert claim.within is not None
    if -claim.within <= mean.low and mean.high <= claim.within:
        return REPRODUCED, ""
    if mean.low > claim.within or mean.high < -claim.within:
        return CONTRADICTED, f"further apart than {claim.within:g}"
    return UNDECIDED, f"the interval is not within {claim.within:g}"


def _estimates(first: np.ndarray, second: np.ndarray, by_seed: np.ndarray) -> tuple[Estimate, Estimate, Estimate]:
    if not len(by_seed) or not np.isfinite(by_seed).all():
        return (Estimate(np.nan, np.nan, np.nan),) * 3
    return mean_estimate(by_seed), iqm_estimate(by_seed), improvement_estimate(first, second)


def _by_seed(rows: pd.DataFrame, panel: Panel, side: Side | float) -> pd.Series | float:
    """Return the value of a side per seed: the mean over the bins that overlap the window, averaged over layers.

    If any of the averaged values is not finite, the result is infinite, because pandas' mean would skip NaN.
    """
    if not isinstance(side, Side):
        return side
    start, end = side.span(panel.to)
    curve = _name(side.curve, panel)
    touched = (rows["bin"] > start) & (rows["bin"] - panel.bin < end) | (curve in panel.levels)
    touched &= rows["curve"] == curve
    values = rows.loc[touched, ["seed", "bin"]].assign(value=rows["value"].where(np.isfinite(rows["value"]), np.inf))
    means = values.groupby(["seed", "bin"])["value"].mean() * panel.factor
    return means.groupby("seed").mean()


def _name(curve: int | str, panel: Panel) -> str:
    """Return the name of a curve that is given by its name or position; an empty string if there are fewer curves."""
    return curve if isinstance(curve, str) else dict(enumerate(panel.curves)).get(curve, "")


def _paired(first: Any, second: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of the seeds that both sides have."""
    second = second if isinstance(second, pd.Series) else pd.Series(float(second), first.index)
    both = first.index.intersection(second.index)
    return first[both].to_numpy(np.float64), second[both].to_numpy(np.float64)
