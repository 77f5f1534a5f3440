"""Verdicts on claims of the paper, their statistics and their tables."""

import json

import numpy as np
import pandas as pd
import pytest
from refusals import error_line, names, refusal
from scipy import stats
from written import write_run

from lop.claims.__main__ import main
from lop.claims.basis import Setting, judged_from, setting_of
from lop.claims.registry import Claim, Side, claimed_figures, expanded, load_claims
from lop.claims.statistics import holm, improvement_estimate, iqm_estimate, mean_estimate, p_value
from lop.claims.table import as_markdown, joined, judged, judged_by_runs, summary, write
from lop.claims.verdict import CONTRADICTED, NOT_REPRODUCED, REPRODUCED, UNDECIDED, judge
from lop.data.sets import ImageSource
from lop.figures.collect import COLLECTED
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs
from lop.runs.spec import Conditions

FIGURE = load_figure("fig4a", "paper")
PANEL = FIGURE.panels[0]
PAPER, LAPTOP = Setting("paper", "", True), Setting("laptop", "", False)
END, START = [0.9, 1], [0, 0.1]


def collected(**curves):
    """Return a table of the given values of each curve, (seeds, 10 bins), over all steps of figure 4a."""
    rows = [
        (0, curve, seed, pd.NA, (place + 1) * PANEL.to // 10, value, 1)
        for curve, runs in curves.items()
        for seed, values in enumerate(np.asarray(runs, float))
        for place, value in enumerate(values)
    ]
    return pd.DataFrame(rows, columns=COLLECTED.names)


def ends(*values):
    """Return runs whose values are 0 except in the last bin."""
    return [[0.0] * 9 + [value] for value in values]


def claim(**keys):
    keys = {"higher": {"curve": "cbp", "window": END}, "lower": {"curve": "std", "window": END}} | keys
    return Claim(says="So it is.", **{key: value for key, value in keys.items() if value is not None})


def verdict(claim, setting=PAPER, **curves):
    return judge(claim, collected(**curves), FIGURE, 0, setting)


def test_interval_matches_hand_computation():
    found = verdict(claim(), cbp=ends(5, 7, 9), std=ends(1, 2, 3))
    # differences 4, 5, 6: mean 5, standard error 1 / sqrt 3, t(0.975, 2) = 4.302653
    margin = 4.302653 / np.sqrt(3)
    assert found.difference == pytest.approx((5, 5 - margin, 5 + margin), rel=1e-6)
    assert (found.first, found.second, found.n) == (7, 2, 3)
    assert (found.verdict, found.why) == (REPRODUCED, "")


def test_seeds_are_paired():
    """Seeds differ far more than methods."""
    found = verdict(claim(), cbp=ends(1, 101, 201), std=ends(0, 100.1, 199.9))
    assert found.verdict == REPRODUCED
    alone = verdict(claim(), cbp=ends(1, 101, 201), std=ends(0, 100.1))
    assert alone.n == 2


@pytest.mark.parametrize(
    ("setting", "cbp", "std", "paper", "expected", "why"),
    [
        (PAPER, (5, 6, 7), (1, 2, 3.1), None, REPRODUCED, ""),
        (PAPER, (1, 2, 3), (5, 6, 7.1), None, CONTRADICTED, "the other side is higher"),
        (PAPER, (1, 5, 3), (5, 1, 3), None, UNDECIDED, "the interval contains 0"),
        (PAPER, (1, 1.1, 1), (1, 1, 1.1), (10, 1), NOT_REPRODUCED, "less than 4.5 of difference"),
        (PAPER, (5, 6, 7), (4, 5, 6.1), (10, 1), NOT_REPRODUCED, "less than 4.5 of difference"),
        (PAPER, (5, 6, 7), (1, 2, 3.1), (10, 5), REPRODUCED, ""),
        (LAPTOP, (5, 6, 7), (4, 5, 6.1), (10, 1), REPRODUCED, ""),
        (LAPTOP, (1, 2, 3), (5, 6, 7.1), None, CONTRADICTED, "the other side is higher"),
        (LAPTOP, (1, 1.1, 1), (1, 1, 1.1), (10, 1), UNDECIDED, "the interval contains 0"),
        (PAPER, (5,), (1,), None, UNDECIDED, "needs two seeds, has 1"),
        (PAPER, (5, np.nan, 7), (1, 2, 3), None, UNDECIDED, "values of a run are not finite"),
    ],
)
def test_verdict_follows_from_the_interval(setting, cbp, std, paper, expected, why):
    found = verdict(claim(paper=paper), setting, cbp=ends(*cbp), std=ends(*std))
    assert (found.verdict, found.why) == (expected, why)


def test_diverged_runs_leave_a_claim_undecided():
    """This holds even if only one of two bins in the window is not finite."""
    wide = claim(higher={"curve": "cbp", "window": [0.8, 1]})
    runs = np.add.outer([5, 6, 7.5], np.arange(10.0))
    runs[1, 8] = np.nan
    found = verdict(wide, cbp=runs, std=ends(1, 2, 3))
    assert (found.verdict, found.why, found.n) == (UNDECIDED, "values of a run are not finite", 3)
    runs[1, 8] = -np.inf
    assert verdict(wide, cbp=runs, std=ends(1, 2, 3)).why == "values of a run are not finite"
    level = claim(higher={"curve": "cbp", "window": [0.8, 1]}, lower=3)
    assert verdict(level, cbp=runs).why == "values of a run are not finite"


@pytest.mark.parametrize("setting", [PAPER, LAPTOP])
@pytest.mark.parametrize(
    ("cbp", "std"),
    [
        ((5, 6), (4, 5)),
        ((1, 2, 3), (1, 2, 3)),
        ((0.1 + 0.2, 0.3, 0.3), (0.3, 0.3, 0.1 + 0.2)),
        ((0.1 + 0.2, 0.3), (0.3 - 5e-17, 0.1 + 0.2 - 1.1e-16)),
        ((1000.1, 2000.1), (1000, 2000)),  # the differences differ by 1e-13
        ((1, 2), (4, 5)),
    ],
)
def test_interval_of_zero_width_is_undecided(setting, cbp, std):
    found = verdict(claim(), setting, cbp=ends(*cbp), std=ends(*std))
    assert (found.verdict, found.why) == (UNDECIDED, "all differences are equal")


def test_differences_within_rounding_error_are_zero():
    found = verdict(claim(), cbp=ends(0.1 + 0.2, 0.3, 0.3), std=ends(0.3, 0.3, 0.3))
    assert found.difference == (0, 0, 0)


def test_values_are_averaged_over_their_windows():
    falls = [[9.0, 8, 7, 6, 5, 4, 3, 2, 1, 0], [9.5, 8, 7, 6, 5, 4, 3, 2, 1, 0.2]]
    sides = {"higher": {"curve": "std", "window": [0, 0.2]}, "lower": {"curve": "std", "window": [0.85, 1]}}
    found = verdict(claim(**sides), std=falls)
    assert (found.first, found.second) == pytest.approx(((8.5 + 8.75) / 2, (0.5 + 0.6) / 2))
    assert found.verdict == REPRODUCED


def test_ends_of_a_window_are_rounded():
    """Otherwise, the window [0, 0.29] of 100 steps would end before step 29, and [0.55, 1] begin after step 55."""
    assert Side(curve=0, window=(0.0, 0.29)).span(100) == (0, 29)
    assert Side(curve=0, window=(0.55, 1.0)).span(100) == (55, 100)


def test_a_window_in_steps_is_the_same_at_all_scales():
    early = claim(higher={"curve": "cbp", "steps": [5_000_000, 10_000_000]}, lower=3)  # bins of 5 million
    runs = np.add.outer([0.0, 0.5], np.arange(10.0))
    assert verdict(early, cbp=runs).first == 1.25  # the second bin
    short = collected(cbp=runs)
    found = judge(early, short[short["bin"] <= 5_000_000], FIGURE, 0, LAPTOP)
    assert (found.verdict, found.why) == (UNDECIDED, "needs 10,000,000 steps, has 5,000,000")


def test_claim_is_undecided_before_its_required_steps():
    short = collected(cbp=ends(5, 6, 7), std=ends(1, 2, 3))
    short = short[short["bin"] <= PANEL.to // 2]
    found = judge(claim(needs=30_000_000), short, FIGURE, 0, PAPER)
    assert (found.verdict, found.why) == (UNDECIDED, "needs 30,000,000 steps, has 25,000,000")


@pytest.mark.parametrize("window", [END, [0.1, 0.9]])
def test_claim_about_steps_that_one_curve_lacks_is_undecided(window):
    both = collected(cbp=ends(5, 6, 7), std=ends(1, 2, 3))
    short = both[(both["curve"] == "cbp") | (both["bin"] <= PANEL.to // 5)]
    sides = {"higher": {"curve": "cbp", "window": window}, "lower": {"curve": "std", "window": window}}
    found = judge(claim(**sides), short, FIGURE, 0, PAPER)
    assert (found.verdict, found.why) == (UNDECIDED, "`std` ends at 10,000,000 steps")


@pytest.mark.parametrize("curve", ["redo", len(PANEL.curves)])
def test_claim_about_a_curve_that_a_scale_leaves_out_is_undecided(curve):
    """A curve may be given by its name or by its position."""
    found = verdict(claim(lower={"curve": curve, "window": END}), cbp=ends(5, 6, 7))
    assert (found.verdict, found.why, found.n) == (UNDECIDED, f"has no curve {curve}", 0)


@pytest.mark.parametrize(
    ("values", "within", "setting", "expected"),
    [
        ((0.79, 0.8, 0.81), 0.05, PAPER, REPRODUCED),
        ((0.9, 0.91, 0.92), 0.05, PAPER, CONTRADICTED),
        ((0.7, 0.8, 0.9), 0.05, PAPER, UNDECIDED),
        ((0.79, 0.8, 0.81), 0.05, LAPTOP, UNDECIDED),
    ],
)
def test_claim_can_compare_a_curve_with_a_given_value(values, within, setting, expected):
    keys = {"higher": None, "lower": None, "near": {"curve": "std", "window": END}, "to": 0.8, "within": within}
    assert verdict(claim(**keys), setting, std=ends(*values)).verdict == expected


def test_curves_can_be_given_by_position():
    sides = {"higher": {"curve": 3, "window": END}, "lower": {"curve": 0, "window": END}}
    named = verdict(claim(), cbp=ends(5, 6, 7), std=ends(1, 2, 3))
    assert verdict(claim(**sides), cbp=ends(5, 6, 7), std=ends(1, 2, 3)) == named


def test_statistics_match_hand_computation():
    values = np.array([0.0, 1, 2, 3, 4, 5, 6, 100])
    assert iqm_estimate(values).value == 3.5
    assert improvement_estimate(np.array([1.0, 2, 3]), np.array([2.0, 2.0])).value == pytest.approx(0.5)
    assert improvement_estimate(np.array([3.0, 4]), np.array([1.0, 2])) == (1, 1, 1)
    assert np.isnan(mean_estimate(np.array([1.0])).low)


def test_all_claims_of_the_project_are_valid():
    claimed = claimed_figures()
    assert "fig4a" in claimed
    assert all(load_claims(name) for name in claimed)


def test_setting_states_whether_runs_have_the_paper_parameters():
    assert setting_of(load_figure("ed2b", "laptop"), 0, ImageSource()) == Setting("laptop", "", True)
    assert setting_of(load_figure("fig4a", "laptop"), 0, ImageSource()) == Setting("laptop", "", False)
    assert setting_of(load_figure("ed4a", "paper"), 0, ImageSource()) == Setting("paper", "glyphs", False)
    assert setting_of(load_figure("ed4a", "paper"), 0, ImageSource("original")) == Setting("paper", "original", True)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("fig4z: []", ("fig4z", "fig4a")),
        ("fig4a: [{says: A}]", ("fig4a", 1, "higher", "lower", "near", "to", "within")),
        ("fig4a: {says: A}", ("fig4a", {"says": "A"})),
        (
            "fig4a: [{says: A, higher: {curve: sdt, window: [0, 1]}, lower: 0}]",
            ("fig4a", 1, "curve", "sdt", "std", "ns", "l2", "cbp", 0, 3),
        ),
        (
            "fig4a: [{says: A, higher: {curve: std, window: [1, 0]}, lower: 0}]",
            ("fig4a", 1, "higher.window", [1, 0]),
        ),
        (
            "fig4a: [{says: A, higher: {curve: std, steps: [20, 20]}, lower: 0}]",
            ("fig4a", 1, "higher.steps", [20, 20]),
        ),
        (
            "fig4a: [{says: A, higher: {curve: std, window: [0, 1], steps: [0, 9]}, lower: 0}]",
            ("fig4a", 1, "window", "steps", "both"),
        ),
        ("fig4a: [{says: A, higher: {curve: std}, lower: 0}]", ("fig4a", 1, "window", "steps", "none")),
        ("4: []", (4, "fig4a")),
        (
            "fig4a: [{says: A, higher: {curve: 1, window: [0, 1]}, lower: {curve: 0, window: [0, 1]}, paper: [1, 5]}]",
            ("fig4a", 1, "paper", [1, 5], "higher", "lower"),
        ),
        (
            "fig4a: [{says: A, higher: {curve: std, window: [0, 1]}, lower: 0, needs: -4}]",
            ("fig4a", 1, "needs", -4, 0),
        ),
        (
            "fig4a: [{says: A, higher: {curve: std, window: [0, 1]}, lower: 0, paper: [1, 0]}]",
            ("fig4a", 1, "paper"),
        ),
        (
            "ed4a: [{says: A, higher: {curve: bp, window: [0, 1]}, lower: 0}]",
            ("ed4a", 1, "panel", 0, 2, 3),
        ),
    ],
)
def test_invalid_claims_are_rejected(tmp_path, text, facts):
    file = tmp_path / "claims.yaml"
    file.write_text(text)
    with refusal(file, *facts):
        [load_claims(name, file) for name in claimed_figures(file)]


def test_p_values_agree_with_the_interval():
    values = np.array([1.0, 2, 4, 4])
    assert p_value(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue)
    for within in (0.5, 2.0, 4.0, 6.0):
        estimate = mean_estimate(values)
        decided = (-within <= estimate.low and estimate.high <= within) or estimate.low > within
        assert (p_value(values, within) <= 0.05) == decided, within


def test_holm_multiplies_the_smallest_p_value_by_the_number_of_tests_and_keeps_the_order():
    adjusted = holm(np.array([0.04, np.nan, 0.01, 0.03, 0.6]))
    np.testing.assert_allclose(adjusted, [0.09, np.nan, 0.04, 0.09, 0.6])
    assert holm(np.array([0.5, 0.6])).tolist() == [1, 1]


def test_summary_counts_the_verdicts_that_remain_after_the_correction():
    rows = {"verdict": [REPRODUCED, REPRODUCED, CONTRADICTED, UNDECIDED], "p": [0.001, 0.04, 0.03, np.nan]}
    words = summary(joined([pd.DataFrame(rows)]))
    names(words, 4, "2 reproduced", "1 contradicted", "1 undecided", "3 tests", "1 reproduced and 0 contradicted")


def test_csv_and_markdown_tables_list_every_claim(tmp_path):
    table = judged(load_figure("fig4a", "laptop"), collected(cbp=ends(5, 6, 7), std=ends(1, 2, 3)), ImageSource())
    table = joined([table])
    assert len(table) == len(load_claims("fig4a"))
    assert set(table["verdict"]) == {UNDECIDED}  # the runs are long enough, but other curves have no values
    write(table, tmp_path / "claims.csv", tmp_path / "claims.md")
    assert pd.read_csv(tmp_path / "claims.csv")["claim"].tolist() == table["claim"].tolist()
    markdown = (tmp_path / "claims.md").read_text()
    assert markdown == as_markdown(table)
    assert all(f"| fig4a (laptop) | {claim} |" in markdown for claim in table["claim"])


def command(*arguments):
    """Run `python -m lop.claims` in this process."""
    main(list(map(str, arguments)))


def test_command_without_runs_suggests_snakemake(tmp_path, capsys):
    names(error_line(capsys, command, "fig4a", "--results", tmp_path), tmp_path, "snakemake claims")


def test_command_rejects_an_unknown_figure(tmp_path, capsys):
    names(error_line(capsys, command, "fig4z", "--results", tmp_path), "fig4z", *claimed_figures())


def test_a_figure_without_claims_stands_for_its_panels():
    claimed = ["fig4a", "fig4c", "ed4a"]
    assert expanded(["fig4", "fig4a", "ed4a"], claimed) == ["fig4a", "fig4c", "ed4a"]
    for name in ("fig3b", "fig2"):
        with refusal(name, *claimed):
            expanded([name], claimed)


def test_verdict_inputs_include_everything_a_verdict_depends_on():
    """These include factor, unit and order of curves, and the source of images if runs need images."""
    figure = load_figure("fig4a", "laptop")
    before = json.dumps(judged_from(figure, ImageSource()))
    (panel,) = figure.panels
    reordered = panel.model_copy(update={"curves": dict(reversed(panel.curves.items()))})
    for changed in (panel.model_copy(update={"factor": 2.0}), panel.model_copy(update={"unit": "tasks"}), reordered):
        assert json.dumps(judged_from(figure.model_copy(update={"panels": (changed,)}), ImageSource())) != before
    relabelled = figure.model_copy(update={"panels": (panel.model_copy(update={"y_label": "Reward"}),)})
    assert json.dumps(judged_from(relabelled, ImageSource())) == before
    of_images = load_figure("ed4a", "paper")
    assert judged_from(of_images, ImageSource()) != judged_from(of_images, ImageSource("original"))
    assert judged_from(figure, ImageSource("original")) == judged_from(figure, ImageSource())  # needs no images


def test_verdicts_are_based_on_the_existing_runs(tmp_path, capsys):
    """Missing runs are left out; a damaged run is an error."""
    figure, conditions = load_figure("fig4a", "smoke"), Conditions()
    assert judged_by_runs(figure, tmp_path, conditions).empty
    files = {}
    for spec in (run.spec for run in shown_runs(figure, conditions)):
        slopes = {"ant/std": lambda step: 10_240 - step, "ant/cbp": lambda step: step}
        value = slopes.get(spec.config, lambda step: 0)
        rows = [("return", step, None, value(step) + spec.seed**2) for step in range(1_024, 10_241, 1_024)]
        files[spec.config, spec.seed] = write_run(tmp_path, spec, rows)
    files["ant/std", 0].unlink()
    assert judged_by_runs(figure, tmp_path, Conditions(device="cuda")).empty
    rows = judged_by_runs(figure, tmp_path, conditions)
    assert rows[rows["claim"] == "PPO with L2 regularisation ends above standard PPO."]["n"].tolist() == [1]

    arguments = ("fig4a", "--scale", "smoke", "--results", tmp_path)
    command(*arguments, "--data-source", "original")
    assert capsys.readouterr().out.strip() == as_markdown(joined([rows])).strip()
    files["ant/l2", 0].write_bytes(b"PAR1")
    names(error_line(capsys, command, *arguments), files["ant/l2", 0])
