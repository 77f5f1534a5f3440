"""Comparison of two sets of runs: the mean difference paired by seed, and the statistics of rliable.

The interquartile mean, the bootstrap and the probability of improvement follow Agarwal et al., "Deep Reinforcement
Learning at the Edge of the Statistical Precipice", NeurIPS 2021. Their bootstrap is stratified by problem; a comparison
here has one problem, and therefore one stratum.
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2_000
DUST = 1e-9  # relative to the largest value; smaller differences are rounding errors


class Estimate(NamedTuple):
    """A value and its 95% interval, whose ends are NaN if there is none."""

    value: float
    low: float
    high: float


def differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return `first - second` with rounding errors removed.

    Args:
        first: array of shape (n,).
        second: array of shape (n,).

    Returns:
        Array of shape (n,). Differences below 1e-9 of the largest value become 0, and differences that deviate from
        one another by less become equal. Values that are not finite are left as they are.
    """
    with np.errstate(invalid="ignore"):  # values may be infinite
        found = first - second
    if not len(found) or not np.isfinite(found).all():
        return found
    dust = DUST * np.abs([first, second]).max()
    found = np.where(np.abs(found) <= dust, 0.0, found)
    return np.full_like(found, found[0]) if np.ptp(found) <= dust else found


def mean_estimate(values: np.ndarray) -> Estimate:
    """Return the mean and its Student's t interval, which, unlike a bootstrap interval, is valid for few runs.

    Args:
        values: array of shape (n,).
    """
    mean, n = float(np.mean(values)), len(values)
    if n < 2:
        return Estimate(mean, np.nan, np.nan)
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * stats.sem(values))
    return Estimate(mean, mean - margin, mean + margin)


def p_value(values: np.ndarray, within: float | None = None) -> float:
    """Return the p-value of the Student's t-test that corresponds to the interval of `mean_estimate`.

    Args:
        values: array of shape (n,), n > 1, not all equal.
        within: None to test whether the mean differs from 0 (two-sided); otherwise the margin of an equivalence test
            (two one-sided tests), or, if the mean lies outside the margin, of a test of whether it does. The one-sided
            p-values are doubled, so that 0.05 corresponds to the 95% interval.
    """
    mean, error, degrees = float(np.mean(values)), float(stats.sem(values)), len(values) - 1
    if within is None:
        return float(2 * stats.t.sf(abs(mean) / error, degrees))
    return float(min(1.0, 2 * stats.t.sf(abs(within - abs(mean)) / error, degrees)))


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values adjusted for the number of tests (Holm 1979); NaN, for claims without a test, stays NaN.

    Args:
        p: p-values (n,).
    """
    adjusted = np.full(len(p), np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    order = tested[np.argsort(p[tested], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(factors * p[order]))
    return adjusted


def iqm_estimate(values: np.ndarray) -> Estimate:
    """Return the interquartile mean and its percentile bootstrap interval.

    Args:
        values: array of shape (n,).
    """
    return _bootstrapped((values,), _iqm)


def improvement_estimate(first: np.ndarray, second: np.ndarray) -> Estimate:
    """Return the probability that a value of `first` exceeds a value of `second`, and its bootstrap interval.

    Ties count half. The interval is a percentile interval; both arrays are resampled independently.

    Args:
        first: array of shape (n,).
        second: array of shape (m,).
    """
    return _bootstrapped((first, second), _higher)


def _iqm(values: np.ndarray, axis: int = -1) -> np.ndarray:
    return stats.trim_mean(values, 0.25, axis=axis)


def _higher(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    first, second = np.moveaxis(first, axis, -1), np.moveaxis(second, axis, -1)
    pairs = first[..., :, None] - second[..., None, :]
    return ((np.sign(pairs) + 1) / 2).mean((-2, -1))


def _bootstrapped(samples: tuple[np.ndarray, ...], statistic) -> Estimate:
    value = float(statistic(*samples))
    if min(map(len, samples)) < 2:
        return Estimate(value, np.nan, np.nan)
    interval = stats.bootstrap(
        samples,
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return Estimate(value, float(interval.low), float(interval.high))
