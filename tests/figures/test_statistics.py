"""Means and intervals over seeds."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lop.figures.statistics import bootstrap_interval, relative, seed_curves, summarise, t_interval


def collected(*rows: tuple) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["curve", "seed", "layer", "bin", "value"])
    return table.astype({"layer": "Int16", "value": float})


def direct(values, method="BCa"):
    """Return the interval of one bin computed by SciPy."""
    rng = np.random.default_rng(0)
    interval = stats.bootstrap((values,), np.mean, method=method, rng=rng).confidence_interval
    return tuple(interval)


def test_means_over_seeds_match_hand_computation():
    table = collected(
        ("std", 0, None, 10, 1), ("std", 1, None, 10, 2), ("std", 2, None, 10, 6), ("std", 1, None, 20, 4),
        ("cbp", 0, None, 10, 7),
    )  # fmt: skip
    result = summarise(table)
    assert list(result) == ["curve", "step", "mean", "low", "high", "n"]
    assert result["curve"].tolist() == ["std", "std", "cbp"]
    assert result["step"].tolist() == [10, 20, 10]
    assert result["mean"].tolist() == [3, 4, 7]
    assert result["n"].tolist() == [3, 1, 1]
    assert result.loc[0, "low"] < 3 < result.loc[0, "high"]
    assert result.loc[1:, ["low", "high"]].isna().all(axis=None)


def test_layers_are_averaged_before_seeds():
    table = collected(("a", 0, 0, 10, 1), ("a", 0, 1, 10, 3), ("a", 1, 0, 10, 10))
    assert summarise(table).loc[0, ["mean", "n"]].tolist() == [6, 2]


def test_interval_of_few_seeds_matches_hand_computation():
    table = collected(*(("a", seed, None, 10, value) for seed, value in enumerate([1, 2, 3, 6])))
    margin = 3.182446 * np.sqrt(14 / 3) / 2  # Student's t with 3 degrees of freedom
    assert summarise(table).loc[0, ["low", "mean", "high"]].tolist() == pytest.approx([3 - margin, 3, 3 + margin])
    assert np.isnan(t_interval(np.ones((2, 1)))).all()


def test_values_of_single_seeds_are_averaged_over_layers_and_left_out_from_ten_seeds_on():
    table = collected(
        ("b", 1, 0, 10, 4), ("b", 1, 1, 10, 6), ("b", 0, 0, 20, 1), ("b", 0, 0, 10, 3),
        *(("a", seed, None, 10, seed) for seed in range(10)),
    )  # fmt: skip
    found = seed_curves(table)
    assert found.to_dict("list") == {"curve": ["b"] * 3, "seed": [0, 0, 1], "step": [10, 20, 10], "value": [3, 1, 5]}
    assert seed_curves(table[:0]).empty


def test_relative_values_are_paired_by_seed():
    table = collected(
        ("base", 0, None, 5, 70), ("base", 1, None, 5, 90), ("base", 2, None, 5, 80), ("base", 3, None, 5, 85),
        ("base", 0, None, 10, 60), ("retrained", 1, None, 5, 95), ("retrained", 0, None, 5, 72),
        ("retrained", 2, None, 5, 81), ("retrained", 0, None, 10, 66),
    )  # fmt: skip
    paired = relative(table, "retrained")
    assert paired["curve"].tolist() == ["base"] * 4 + ["retrained"] * 4  # base's seed 3 has no partner
    assert paired["value"].tolist() == [-2, -5, -1, -6, 0, 0, 0, 0]
    result = summarise(paired)
    mean, margin = -8 / 3, 4.302653 * np.sqrt(13 / 3 / 3)  # of -2, -5 and -1
    assert result.loc[0, ["mean", "low", "high"]].tolist() == pytest.approx([mean, mean - margin, mean + margin])


def test_relative_values_are_paired_by_layer_and_preserve_nan():
    table = collected(
        ("a", 0, 0, 5, 1), ("a", 0, 1, 5, 2), ("b", 0, 0, 5, 10), ("b", 0, 1, 5, np.nan)
    )  # fmt: skip
    assert relative(table, "b")["value"].tolist() == pytest.approx([-9, np.nan, 0, np.nan], nan_ok=True)


def test_interval_of_each_bin_is_that_of_scipy():
    values = np.random.default_rng(1).exponential(size=(200, 30))
    low, high = bootstrap_interval(values)
    for i, row in list(enumerate(values))[::20]:
        assert (low[i], high[i]) == direct(row)


def test_interval_does_not_depend_on_row_order_or_other_curves():
    values = np.random.default_rng(2).normal(size=12)
    rows = [("a", seed, None, 10, value) for seed, value in enumerate(values)]
    others = [("b", 0, None, 10, 1.0), ("b", 1, None, 10, 2.0)]
    result = summarise(collected(*reversed(rows), *others))
    assert tuple(result.loc[0, ["low", "high"]]) == direct(values)
    pd.testing.assert_frame_equal(result, summarise(collected(*rows, *others)))


def test_bins_with_fewer_seeds_have_their_own_interval():
    places = [(seed, edge) for edge in (10, 20, 30) for seed in range(12) if (seed, edge) != (11, 20)]
    rows = [("a", seed, None, edge, seed**2) for seed, edge in places]
    result = summarise(collected(*rows))
    assert result["n"].tolist() == [12, 11, 12]
    assert tuple(result.loc[1, ["low", "high"]]) == direct(np.arange(11.0) ** 2)
    assert result.loc[0, ["mean", "low", "high"]].tolist() == result.loc[2, ["mean", "low", "high"]].tolist()


def test_single_run_has_no_interval_and_equal_runs_have_one_of_zero_width():
    assert np.isnan(bootstrap_interval(np.array([[1.0]]))).all()
    assert np.array(bootstrap_interval(np.full((2, 4), 0.1))).tolist() == [[0.1, 0.1], [0.1, 0.1]]


def test_percentile_interval_replaces_an_undefined_bca_interval(monkeypatch):
    bootstrap = stats.bootstrap

    def undefined(*args, method, **more):
        result = bootstrap(*args, method=method, **more)
        low = result.confidence_interval.low
        if method == "BCa" and low.ndim:
            low[0] = np.nan
        return result

    monkeypatch.setattr("lop.figures.statistics.stats.bootstrap", undefined)
    values = np.random.default_rng(3).normal(size=(2, 8))
    low, high = bootstrap_interval(values)
    assert (low[0], high[0]) == direct(values[0], "percentile")
    assert (low[1], high[1]) == direct(values[1])


def test_diverged_run_makes_the_mean_non_finite():
    table = collected(
        ("a", 0, None, 10, 1), ("a", 1, None, 10, np.nan), ("a", 0, None, 20, 1), ("a", 1, None, 20, np.inf)
    )
    more = pd.concat([table.assign(seed=table["seed"] + 2 * i) for i in range(6)])
    for rows, n in ((table, 2), (more, 12)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = summarise(rows)
        assert np.isnan(result.loc[0, "mean"])
        assert result.loc[1, "mean"] == np.inf
        assert result[["low", "high"]].isna().all(axis=None)
        assert result["n"].tolist() == [n, n]


def test_empty_input_gives_an_empty_table():
    assert list(summarise(collected())) == ["curve", "step", "mean", "low", "high", "n"]


numbers = st.floats(-1e6, 1e6, allow_nan=False, width=32)


@given(st.lists(numbers, min_size=2, max_size=12))
def test_intervals_lie_within_the_values_or_around_their_mean(values):
    row = np.array([values])
    (low,), (high,) = bootstrap_interval(row)
    slack = 1e-9 * max(1, np.abs(row).max())
    assert row.min() - slack <= low <= high <= row.max() + slack
    (low,), (high,) = t_interval(row)
    assert (low + high) / 2 == pytest.approx(row.mean(), abs=slack)


@given(st.lists(st.integers(-1000, 1000), min_size=2, max_size=8, unique=True), st.integers(1, 50))
def test_intervals_shift_and_scale_with_the_values(values, factor):
    row = np.array([values], float)
    low, high = bootstrap_interval(row)
    moved = bootstrap_interval(row * factor + 7)
    assert np.allclose(moved, np.array([low, high]) * factor + 7)
