"""Means over seeds and their uncertainty per curve and bin, independent of files and drawing."""

import warnings

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95
FEWEST = 3  # minimum number of seeds for an interval; that of two values is 13 times as wide as their distance
FEW = 10  # minimum number of seeds for a bootstrap interval, which is too narrow with fewer
RESAMPLES = 9_999
BATCH = 100  # resamples held in memory at a time
COLUMNS = ["curve", "step", "mean", "low", "high", "n"]


def summarise(collected: pd.DataFrame) -> pd.DataFrame:
    """Compute the mean over seeds and its 95% interval per curve and bin for one panel.

    The value of a run in a bin is the mean over its layers. A bin averages the seeds that have a value there. The
    interval is Student's t below ten seeds, and from ten seeds on a BCa bootstrap interval, as in the paper.

    Args:
        collected: columns curve, seed, layer, bin, value, as returned by `lop.figures.collect.collect`.

    Returns:
        Columns curve, step (right edge of the bin), mean, low, high, n (number of seeds in the bin); curves in
        their original order, each sorted by step. `low` and `high` are NaN if n is 1 or 2. If the value of a run is
        not finite, as after divergence, the mean is not finite either, and `low` and `high` are NaN.
    """
    groups = collected.groupby("curve", sort=False)
    curves = [_summarise_curve(rows).assign(curve=curve) for curve, rows in groups]
    return pd.concat(curves, ignore_index=True)[COLUMNS] if curves else pd.DataFrame(columns=COLUMNS)


def relative(collected: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Subtract the values of a reference curve, paired by seed, so that bands are those of paired differences.

    Args:
        collected: table as in `summarise`.
        reference: name of the reference curve.

    Returns:
        The same columns, with the reference's value of the same seed, layer and bin subtracted from each value. Rows
        without a reference value are dropped. Finite values of the reference itself become 0.
    """
    keys = ["seed", "layer", "bin"]
    others = collected.loc[collected["curve"] == reference, [*keys, "value"]].rename(columns={"value": "reference"})
    paired = collected.merge(others, on=keys, how="inner", validate="many_to_one")
    return paired.assign(value=paired["value"] - paired["reference"]).drop(columns="reference")


def bootstrap_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute the 95% bootstrap interval of the mean over runs, bias-corrected and accelerated (BCa), as in the paper.

    All bins share the same resamples. The interval of a bin equals that of `scipy.stats.bootstrap` applied to the
    bin alone with `rng=numpy.random.default_rng(0)`.

    Args:
        values: array of shape (bins, runs).

    Returns:
        low, high: arrays of shape (bins,). They are NaN for a single run or values that are not finite, the mean if
        all values are equal, and the percentile interval if BCa is undefined.
    """
    finite = np.isfinite(values).all(axis=1) & (values.shape[1] > 1)
    low = np.where(finite, values.mean(axis=1), np.nan)
    high = low.copy()
    spread = finite & (values.max(axis=1) > values.min(axis=1))
    low[spread], high[spread] = _resampled(values[spread], "BCa")
    undefined = spread & ~(np.isfinite(low) & np.isfinite(high))
    low[undefined], high[undefined] = _resampled(values[undefined], "percentile")
    return low, high


def t_interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compute Student's t 95% interval of the mean over runs.

    Args:
        values: array of shape (bins, runs).

    Returns:
        low, high: arrays of shape (bins,), NaN for a single run or values that are not finite.
    """
    n = values.shape[1]
    low, high = np.full(len(values), np.nan), np.full(len(values), np.nan)
    finite = np.isfinite(values).all(axis=1) & (n > 1)
    if finite.any():
        mean = values[finite].mean(axis=1)
        margin = stats.t.ppf((1 + CONFIDENCE) / 2, n - 1) * values[finite].std(axis=1, ddof=1) / np.sqrt(n)
        low[finite], high[finite] = mean - margin, mean + margin
    return low, high


def seed_curves(collected: pd.DataFrame) -> pd.DataFrame:
    """Return the values of every seed of the curves with fewer than ten seeds, averaged over layers.

    Args:
        collected: table as in `summarise`.

    Returns:
        Columns curve, seed, step, value; curves in their original order, seeds and steps ascending.
    """
    few = collected.groupby("curve")["seed"].transform("nunique") < FEW
    means = (
        collected[few].groupby(["curve", "seed", "bin"], sort=False)["value"].agg(lambda rows: rows.mean(skipna=False))
    )
    table = means.rename_axis(["curve", "seed", "step"]).reset_index()
    return pd.concat(
        [rows.sort_values(["seed", "step"]) for _, rows in table.groupby("curve", sort=False)] or [table],
        ignore_index=True,
    )


def _summarise_curve(rows: pd.DataFrame) -> pd.DataFrame:
    bins, n, values = _run_values(rows)
    mean, low, high = (np.full(len(bins), np.nan) for _ in range(3))
    for size in np.unique(n):
        chosen = n == size
        block = values[np.repeat(chosen, n)].reshape(-1, size)  # (bins, runs)
        mean[chosen] = block.mean(axis=1)
        if size >= FEWEST:
            low[chosen], high[chosen] = (t_interval if size < FEW else bootstrap_interval)(block)
    return pd.DataFrame({"step": bins, "mean": mean, "low": low, "high": high, "n": n})


def _run_values(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the bins, the number of runs in each, and the values of the runs bin by bin, averaged over layers."""
    rows = rows.sort_values(["bin", "seed"], kind="stable")
    keys = rows[["bin", "seed"]].to_numpy(np.int64)
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)])
    layers = np.diff(np.r_[starts, len(keys)])
    values = np.add.reduceat(rows["value"].to_numpy(np.float64), starts) / layers
    bins, n = np.unique(keys[starts, 0], return_counts=True)
    return bins, n, values


def _resampled(values: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    if not len(values):
        return np.empty(0), np.empty(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # degenerate bins, which the caller handles
        interval = stats.bootstrap(
            (values,),
            _mean,
            axis=1,
            n_resamples=RESAMPLES,
            batch=BATCH,
            confidence_level=CONFIDENCE,
            method=method,
            rng=np.random.default_rng(0),
        ).confidence_interval
    return interval.low, interval.high


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Average contiguous rows; otherwise rounding, and hence the interval of a bin, would depend on the other bins."""
    return np.ascontiguousarray(values).mean(axis)
