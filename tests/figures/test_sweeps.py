"""Tuning: sweeps of a scale, scores of their settings, the choice and its files."""

import matplotlib.figure
import numpy as np
import pandas as pd
import pytest
import yaml
from refusals import refusal

from lop.figures.collect import write_collected
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs
from lop.figures.sweeps import choose, chosen_values, draw_sweep, load_sweep, scores, tune
from lop.problems import first_run
from lop.runs import scale as scale_module
from lop.runs.scale import load_scale
from lop.runs.spec import Conditions

GRIDS = {
    "imagenet/bp_5000": {"step_size": [0.1, 0.2]},
    "rl/ant/l2": {"wd": [0.1, 0.2]},
}
TUNING = {"metric": "score", "to": 40, "bin": 10, "window": [0.5, 1], "seeds": 2, "budget": 2, "grids": GRIDS}


@pytest.fixture
def scale(tmp_path, monkeypatch):
    monkeypatch.setattr(scale_module, "CONFIG", tmp_path)

    def write(**changes):
        path = tmp_path / "scales/small.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(yaml.safe_dump({"tuning": {"ours": TUNING | changes}, "runs": {"rl/*": {"n_steps": 40}}}))
        first_run.cache_clear()

    write()
    return write


def collected(values):
    """Return a table of {(panel, setting): {seed: values of the four bins}}."""
    rows = [
        {"panel": panel, "curve": curve, "seed": seed, "layer": None, "bin": 10 * (i + 1), "value": value, "count": 1}
        for (panel, curve), seeds in values.items()
        for seed, of_seed in seeds.items()
        for i, value in enumerate(of_seed)
    ]
    return pd.DataFrame(rows).astype({"panel": "Int16", "layer": "Int16"})


VALUES = {
    (0, "step_size=0.1"): {100: [9, 9, 1, 3], 101: [9, 9, 1, 1]},  # 1.5 in the second half
    (0, "step_size=0.2"): {100: [0, 0, 2, 2], 101: [0, 0, 2, 2]},
    (1, "wd=0.1"): {100: [0, 0, 5, 5], 101: [0, 0, 5, 5]},
    (1, "wd=0.2"): {100: [0, 0, 9, np.nan], 101: [0, 0, 9, 9]},
}


def test_sweep_has_the_runs_of_all_settings_with_tuning_seeds(scale):
    sweep = load_sweep("tune_ours", "small")
    runs = shown_runs(sweep, Conditions())
    assert {(run.spec.config, run.spec.setting, run.spec.seed) for run in runs} == {
        (config, f"{key}={value}", seed)
        for config, key in (("bp_5000", "step_size"), ("ant/l2", "wd"))
        for value in (0.1, 0.2)
        for seed in (100, 101)
    }
    assert {run.spec.scale for run in runs} == {"small.ours"}
    assert {run.spec.horizon for run in runs} == {40}


def test_tuning_runs_end_where_their_scores_do_and_never_later_than_those_of_the_figure(scale):
    lengths = {}
    for to in (20, 80):
        scale(to=to, bin=10)
        sweep = load_sweep("tune_ours", "small")
        lengths[to] = {run.spec.config: run.spec.horizon for run in shown_runs(sweep, Conditions())}
    assert lengths == {20: {"bp_5000": 20, "ant/l2": 20}, 80: {"bp_5000": 80, "ant/l2": 40}}


@pytest.mark.parametrize(
    ("problem", "config", "grid", "to", "length"),
    [
        ("rl", "hopper/std", {"lr": [1e-4]}, 20, 20),
        ("incremental_cifar", "base_deep_learning_system", {"stepsize": [0.1]}, 10, 10),  # the default length
        ("incremental_cifar", "base_deep_learning_system", {"stepsize": [0.1]}, 12, 100),  # no multiple of 5 classes
        ("permuted_mnist", "best/bp", {"num_examples": [120_000]}, 60_000, 120_000),
        ("permuted_mnist", "best/bp", {"num_examples": 120_000, "step_size": [0.1]}, 60_000, 120_000),
    ],
)
def test_tuning_runs_end_early_only_if_their_length_is_possible_and_not_tuned(scale, problem, config, grid, to, length):
    scale(to=to, bin=to, window=[0, 1], budget=1, grids={f"{problem}/{config}": grid})
    runs = shown_runs(load_sweep("tune_ours", "small"), Conditions())
    assert {run.spec.horizon for run in runs} == {length}


def test_scores_are_means_of_the_window_and_the_best_finite_mean_is_chosen(scale):
    comparison, sweep = load_scale("small").file.tuning["ours"], load_sweep("tune_ours", "small")
    scored = scores(collected(VALUES), sweep, comparison)
    assert scored["score"].tolist()[:6] == [2, 1, 2, 2, 5, 5]
    assert np.isnan(scored["score"][6])
    assert choose(scored, "highest") == {"imagenet/bp_5000": "step_size=0.2", "rl/ant/l2": "wd=0.1"}
    assert choose(scored, "lowest") == {"imagenet/bp_5000": "step_size=0.1", "rl/ant/l2": "wd=0.1"}


def test_method_without_a_finite_score_is_rejected(scale):
    comparison, sweep = load_scale("small").file.tuning["ours"], load_sweep("tune_ours", "small")
    scored = scores(collected({key: value for key, value in VALUES.items() if key[0] == 0}), sweep, comparison)
    with refusal("rl/ant/l2"):
        choose(scored, "highest")


def test_chosen_values_have_the_form_of_a_scale(scale):
    grid = {"callback": "lop.algos.redo:ReDo", "callback_settings": {"threshold": [1, 2]}, "momentum": 0.5}
    scale(grids={"imagenet/bp_5000": grid})
    assert chosen_values({"imagenet/bp_5000": "threshold=2"}, "small.ours") == {
        "imagenet/bp_5000": grid | {"callback_settings": {"threshold": 2}}
    }


def test_tuning_writes_scores_plots_and_the_values_that_the_scale_uses_from_then_on(scale, tmp_path):
    table = tmp_path / "table.parquet"
    write_collected(collected(VALUES), table)
    report = tune({"tune_ours": table}, "small", tmp_path / "tuning", tmp_path / "tuned/small.yaml")
    assert [line.split(": ")[1:3] for line in report] == [
        ["imagenet/bp_5000", "step_size=0.2 (2)"],
        ["rl/ant/l2", "wd=0.1 (5)"],
    ]
    assert sorted(path.name for path in (tmp_path / "tuning").iterdir()) == ["ours.csv", "ours.pdf", "ours.png"]
    table = pd.read_csv(tmp_path / "tuning/ours.csv")
    assert table[table["chosen"]]["setting"].tolist() == ["step_size=0.2"] * 2 + ["wd=0.1"] * 2
    assert load_scale("small").chosen == {"imagenet/bp_5000": {"step_size": 0.2}, "rl/ant/l2": {"wd": 0.1}}


def test_plot_has_visible_axes_for_every_method_and_no_others(scale, tmp_path, monkeypatch):
    """There are three columns, so that two of six axes remain with four methods."""
    pages = []

    class Page(matplotlib.figure.Figure):
        def __init__(self, **options):
            super().__init__(**options)
            pages.append(self)

    monkeypatch.setattr(matplotlib.figure, "Figure", Page)
    methods = [f"rl/ant/{name}" for name in ("std", "l2", "cbp", "ns")]
    scored = pd.DataFrame([(runs, "lr=1", 100, 0.5) for runs in methods], columns=["runs", "setting", "seed", "score"])
    comparison = load_scale("small").file.tuning["ours"]
    draw_sweep(scored, dict.fromkeys(methods, "lr=1"), comparison, [tmp_path / "a.png"])
    shown = [ax.get_title() for ax in pages[0].axes if ax.get_visible()]
    assert (shown, len(pages[0].axes)) == (["ant/std", "ant/l2", "ant/cbp", "ant/ns"], 6)


def test_unknown_comparison_is_rejected(scale):
    with refusal("small.yaml", "tuning", "'theirs'"):
        load_sweep("tune_theirs", "small")


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"budget": 3}, ("imagenet/bp_5000", 2, 3)),
        ({"grids": {"imagenet/none": {"step_size": [1, 2]}}}, ("imagenet/none",)),
        ({"grids": {"nothing": {"step_size": [1, 2]}}}, ("nothing",)),
        ({"grids": {"imagenet/bp": {"momentum": [0, 0.5]}}}, ("imagenet/bp", 6, 2)),
    ],
    ids=["budget", "unknown config", "unknown problem", "cfg that sweeps another key"],
)
def test_unusable_comparison_is_rejected(scale, changes, facts):
    scale(**changes)
    with refusal("small.yaml", "tuning.ours", *facts):
        load_sweep("tune_ours", "small")


def test_a_method_cannot_be_in_two_comparisons(tmp_path, scale):
    (tmp_path / "scales/small.yaml").write_text(yaml.safe_dump({"tuning": {"ours": TUNING, "theirs": TUNING}}))
    with refusal("small.yaml", "imagenet/bp_5000"):
        load_sweep("tune_ours", "small")


def test_figures_cannot_show_tuning_seeds(tmp_path, scale):
    path = tmp_path / "figures.yaml"
    panel = {
        "curves": {"a": "rl/ant/l2"},
        "metric": "return",
        "to": 10,
        "x_label": "",
        "y_label": "",
        "seeds": [0, 100],
    }
    method = {"label": "A", "colour": "C0", "line": "solid"}
    path.write_text(yaml.safe_dump({"methods": {"a": method}, "figures": {"one": panel}}))
    with refusal("figures.one", "seeds", 100):
        load_figure("one", "small", path)
