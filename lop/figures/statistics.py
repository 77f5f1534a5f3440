"""Means over seeds and their uncertainty, per curve and bin. Nothing here reads files or draws."""

import warnings

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 9_999
COLUMNS = ["curve", "step", "mean", "low", "high", "n"]
BATCH = 100  # resamples held in memory at a time


def summarise(collected: pd.DataFrame, band: str = "bootstrap") -> pd.DataFrame:
    """Mean over seeds and band, per curve and bin, of the collected table of one panel.

    A run's value in a bin is the mean of its layers there. A bin takes the seeds that have a value in it, and says how many.

    Args:
        collected: columns curve, seed, layer, bin, value, as `lop.figures.collect` gives them.
        band: "bootstrap" (95% interval of the mean) or "standard_error" (mean - and + one).

    Returns:
        Columns curve, step (right edge of the bin), mean, low, high, n; curves in the order in which they came, by step.
        low and high are NaN where n is 1, and where a run's value is not finite, so that no band hides a diverged run.
    """
    curves = [
        _summarise_curve(rows, band).assign(curve=curve) for curve, rows in collected.groupby("curve", sort=False)
    ]
    return pd.concat(curves, ignore_index=True)[COLUMNS] if curves else pd.DataFrame(columns=COLUMNS)


def bootstrap_interval(values: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """95% bootstrap interval of the mean over runs (BCa: Efron 1987; scipy.stats.bootstrap, as in the paper).

    All bins share their resamples, drawn from a generator of fixed seed: a bin's interval is that of scipy's call with
    `rng=numpy.random.default_rng(seed)` on the bin alone.

    Args:
        values: (bins, runs).
        seed: of the resamples.

    Returns:
        low, high: (bins,) each. NaN for one run or values that are not finite, the mean twice where all values are equal,
        the percentile interval where BCa is not defined.
    """
    mean = values.mean(axis=1)
    finite = np.isfinite(values).all(axis=1) & (values.shape[1] > 1)
    low = np.where(finite, mean, np.nan)
    high = low.copy()
    spread = finite & (values.max(axis=1) > values.min(axis=1))
    low[spread], high[spread] = _resampled(values[spread], "BCa", seed)
    undefined = spread & ~(np.isfinite(low) & np.isfinite(high))
    low[undefined], high[undefined] = _resampled(values[undefined], "percentile", seed)
    return low, high


def standard_error_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean minus and plus one standard error over runs; values (bins, runs), NaN for one run."""
    if values.shape[1] < 2:
        return np.full(len(values), np.nan), np.full(len(values), np.nan)
    with np.errstate(invalid="ignore"):  # infinite values have no spread
        mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(values.shape[1])
        return mean - error, mean + error


INTERVALS = {"bootstrap": bootstrap_interval, "standard_error": standard_error_interval}


def _summarise_curve(rows: pd.DataFrame, band: str) -> pd.DataFrame:
    bins, n, values = _run_values(rows)
    mean, low, high = (np.empty(len(bins)) for _ in range(3))
    for size in np.unique(n):
        chosen = n == size
        block = values[np.repeat(chosen, n)].reshape(-1, size)  # (bins, runs)
        mean[chosen] = block.mean(axis=1)
        low[chosen], high[chosen] = INTERVALS[band](block)
    return pd.DataFrame({"step": bins, "mean": mean, "low": low, "high": high, "n": n})


def _run_values(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The bins, how many runs each has, and the runs' values (averaged over layers), bin by bin."""
    rows = rows.sort_values(["bin", "seed"], kind="stable")
    keys = rows[["bin", "seed"]].to_numpy(np.int64)
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    layers = np.diff(np.r_[starts, len(keys)])
    values = np.add.reduceat(rows["value"].to_numpy(np.float64), starts) / layers
    bins, n = np.unique(keys[starts, 0], return_counts=True)
    return bins, n, values


def _resampled(values: np.ndarray, method: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    if not len(values):
        return np.empty(0), np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of degenerate bins: they are dealt with by the caller
        interval = stats.bootstrap(
            (values,),
            np.mean,
            axis=1,
            n_resamples=RESAMPLES,
            batch=BATCH,
            confidence_level=CONFIDENCE,
            method=method,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return interval.low, interval.high
