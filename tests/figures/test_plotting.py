"""Panels: lines, bands, markers and axes."""

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from synthetic import METHODS, PANEL

from lop.figures.plotting import plot_panel, step_unit
from lop.figures.registry import Method, Panel

STATISTICS = pd.DataFrame(
    {
        "curve": ["std"] * 3 + ["cbp"] * 3,
        "step": [10, 20, 30] * 2,
        "mean": [1.0, 2.0, 3.0, 4.0, np.inf, 6.0],
        "low": [0.5, np.nan, 2.5, 3.5, np.nan, 5.5],
        "high": [1.5, np.nan, 3.5, 4.5, np.nan, 6.5],
    }
)


def drawn(statistics=STATISTICS, note="", title="", **panel):
    ax = matplotlib.figure.Figure().subplots()
    methods = {name: Method(**method) for name, method in METHODS.items()}
    plot_panel(statistics, ax, Panel(**PANEL | panel), methods, note, title)
    ax.figure.draw_without_rendering()
    return ax


def test_lines_show_the_means_in_the_style_of_their_method():
    ax = drawn()
    std, cbp, *_ = ax.lines
    assert std.get_xydata().tolist() == [[10, 1], [20, 2], [30, 3]]
    assert [line.get_label() for line in (std, cbp)] == ["Standard PPO", "PPO + CBP + L2"]
    assert [to_hex(line.get_color()) for line in ax.lines] == ["#d62728", "#1f77b4", "#1f77b4"]
    assert std.is_dashed()
    assert not cbp.is_dashed()
    assert [line.get_marker() for line in (std, cbp)] == ["s", "None"]


def test_non_finite_mean_is_a_gap():
    stretches = [list(line.get_xdata()) for line in drawn().lines if line.get_label() == "PPO + CBP + L2"]
    assert stretches == [[10], [30]]


def test_bands_range_from_low_to_high():
    band = drawn().collections[0].get_datalim(drawn().transData)
    assert (band.y0, band.y1) == (0.5, 3.5)
    assert len(drawn().collections) == 2


@pytest.mark.parametrize(
    ("last", "label", "ticks"),
    [
        (50_000_000, "Environment steps (millions)", ["0", "10", "20", "30", "40", "50"]),
        (3_000_000, "Environment steps (millions)", ["0", "1", "2", "3"]),
        (150_000, "Environment steps (thousands)", ["0", "50", "100", "150"]),
        (5_000, "Environment steps", ["0", "1,000", "2,000", "3,000", "4,000", "5,000"]),
        (10, "Environment steps", ["0", "2", "4", "6", "8", "10"]),
    ],
)
def test_steps_are_labelled_in_a_suitable_unit(last, label, ticks):
    ax = drawn(to=last, bin=1)
    assert ax.get_xlabel() == label
    shown = [tick.get_text() for tick in ax.get_xticklabels() if tick.get_position()[0] <= last]
    assert shown == ticks


def test_axes_have_labels_limits_title_and_note():
    ax = drawn(y_limits=[0, 5500], title="Hopper", note="laptop scale")
    assert ax.get_ylabel() == "Return per episode"
    assert ax.get_ylim() == (0, 5500)
    assert "5,000" in [tick.get_text() for tick in ax.get_yticklabels()]
    assert ax.get_title("left") == "Hopper"
    assert [text.get_text() for text in ax.texts] == ["laptop scale"]


def test_tick_labels_have_thousands_separators_and_minus_signs():
    ticks = [tick.get_text() for tick in drawn(y_limits=[-2000, 500]).get_yticklabels()]
    assert {"\N{MINUS SIGN}2,000", "0", "500"} <= set(ticks)


def test_y_limits_are_automatic_by_default():
    low, high = drawn().get_ylim()
    assert low < 0.5
    assert 6.5 < high < 8


@pytest.mark.parametrize("n", [1, 2, 8, 9, 200])
def test_at_most_eight_markers_lie_on_points_of_the_curve(n):
    rows = pd.DataFrame({"curve": "std", "step": np.arange(n), "mean": 0.0, "low": 0.0, "high": 0.0})
    first, distance = drawn(rows).lines[0].get_markevery()
    assert 1 <= len(range(first, n, distance)) <= 8


def test_step_unit_depends_on_the_last_step():
    assert step_unit(9_999) == (1, "", "")
    assert step_unit(10_000) == (1_000, "thousands", "k")
    assert step_unit(1_000_000) == (1_000_000, "millions", "M")


def test_logarithmic_tick_labels_are_plain_numbers():
    ax = drawn(y_scale="log", y_limits=[0.05, 20])
    assert ax.get_yscale() == "log"
    assert {"0.1", "1", "10"} <= {tick.get_text() for tick in ax.get_yticklabels()}


@pytest.mark.parametrize(
    ("limits", "labels"),
    [
        ([0.015, 2.7], ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2"]),
        ([0.0005, 200], ["0.001", "0.01", "0.1", "1", "10", "100"]),
    ],
)
def test_logarithmic_axis_has_neither_too_few_nor_too_many_labels(limits, labels):
    ax = drawn(y_scale="log", y_limits=limits)
    shown = [tick.get_text() for tick in ax.get_yticklabels() if limits[0] <= tick.get_position()[1] <= limits[1]]
    assert shown == labels


def test_step_curves_are_flat_within_bins_and_start_with_the_first_bin():
    std, *_ = drawn(draw="steps").lines
    assert std.get_drawstyle() == "steps-pre"
    assert std.get_xydata().tolist() == [[0, 1], [10, 1], [20, 2], [30, 3]]
