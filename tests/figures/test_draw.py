"""Drawn figures: files, numbers, legends and notes."""

import os
import re
import subprocess
import sys
from itertools import chain

import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from PIL import Image
from refusals import refusal
from synthetic import METHODS, PANEL, collected, figure, runs_of, write_runs

from lop.common.paths import ROOT
from lop.figures.collect import write_collected
from lop.figures.draw import _notes, _page, draw, note_of, plotted_numbers
from lop.figures.plotting import STYLE
from lop.figures.registry import Figure
from lop.figures.statistics import seed_curves


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    write_runs(results, figure())
    return collected(figure(), results)


@pytest.fixture(scope="module")
def drawn(table, tmp_path_factory):
    return draw(table, figure(), tmp_path_factory.mktemp("figures"))


def page(table, shown):
    with matplotlib.style.context(STYLE, after_reset=True):
        seeds = {place: seed_curves(rows) for place, rows in table.groupby("panel")}
        notes = dict.fromkeys(shown.curve_panels, "3 seeds")
        return _page(shown, plotted_numbers(table, shown), seeds, "smoke scale", notes)


def test_three_files_are_written_and_nothing_else(drawn):
    assert [path.name for path in drawn] == ["fig4a.pdf", "fig4a.png", "fig4a.csv"]
    assert {path.name for path in drawn[0].parent.iterdir()} == {"fig4a.pdf", "fig4a.png", "fig4a.csv"}


def test_csv_contains_the_plotted_numbers(table, drawn):
    numbers = pd.read_csv(drawn[2])
    assert list(numbers) == ["curve", "label", "step", "mean", "low", "high", "n"]
    assert numbers["curve"].tolist() == ["std"] * 4 + ["cbp"] * 4
    assert numbers["label"].unique().tolist() == ["Standard PPO", "PPO + CBP + L2"]
    assert numbers["step"].tolist() == [10, 20, 30, 40] * 2
    assert numbers["n"].eq(3).all()
    by_hand = table[(table["curve"] == "cbp") & (table["bin"] == 20)]["value"].mean()
    assert numbers.loc[5, "mean"] == pytest.approx(by_hand, rel=1e-15)
    *seeds, std, cbp = page(table, figure()).axes[0].lines
    assert np.concatenate([line.get_ydata() for line in (std, cbp)]).tolist() == numbers["mean"].tolist()
    assert np.concatenate([line.get_ydata() for line in seeds]).tolist() == table["value"].tolist()
    assert max(line.get_linewidth() for line in seeds) < std.get_linewidth()


def test_pdf_has_vector_graphics_and_embedded_truetype_fonts(drawn):
    content = drawn[0].read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content
    assert b"/Subtype /Image" not in content
    assert b"/Subject (Returns.)" in content
    fonts = set(re.findall(rb"/BaseFont /(?:[A-Z]{6}\+)?([\w-]+)", content))
    assert fonts == {b"DejaVuSans"}


def test_png_shows_all_colours_at_200_dpi(drawn):
    image = Image.open(drawn[1])
    assert image.info["dpi"] == pytest.approx((200, 200), abs=0.1)
    assert image.size == (700, 540)
    pixels = {to_hex(np.array(colour) / 255) for _, colour in image.convert("RGB").getcolors(1 << 20)}
    assert {"#d62728", "#1f77b4", "#ffffff"} <= pixels


def test_files_are_byte_identical_across_processes(table, drawn, tmp_path):
    write_collected(table, tmp_path / "table.parquet")
    script = (
        "from pathlib import Path; from synthetic import figure;"
        "from lop.figures.collect import read_collected; from lop.figures.draw import draw;"
        "draw(read_collected(Path('table.parquet')), figure(), Path('.'))"
    )
    different = {"PYTHONHASHSEED": "7", "MPLBACKEND": "svg", "TZ": "Asia/Tokyo"}
    environment = (
        os.environ
        | different
        | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests/figures")))}
    )
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nlines.linewidth: 9\n")
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment, check=True)
    for path in drawn:
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_legend_lists_each_method_once_in_its_style(table):
    twice = figure({}, {"title": "again"})
    both = pd.concat([table, table.assign(panel=1)])
    for shown, rows in ((figure(), table), (twice, both)):
        (legend,) = page(rows, shown).legends
        assert [text.get_text() for text in legend.get_texts()] == ["Standard PPO", "PPO + CBP + L2"]
        assert [to_hex(line.get_color()) for line in legend.get_lines()] == ["#d62728", "#1f77b4"]
        assert [line.is_dashed() for line in legend.get_lines()] == [True, False]


def test_legend_fits_the_page(table):
    shown = figure()
    long = shown.methods | {
        "cbp": shown.methods["cbp"].model_copy(update={"label": "PPO + CBP + L2, instantaneous utilities"})
    }
    for methods, columns in ((shown.methods, 2), (long, 1)):
        sheet = page(table, shown.model_copy(update={"methods": methods}))
        (legend,) = sheet.legends
        assert legend._ncols == columns
        assert legend.get_window_extent().x0 >= 0
        assert legend.get_window_extent().x1 <= sheet.bbox.width


def test_legends_below_panels_fit_their_columns(table):
    shown = figure({}, {"curves": {"cbp": "rl/ant/cbp"}})
    long = {
        name: look.model_copy(update={"label": f"{look.label}, instantaneous utilities"})
        for name, look in shown.methods.items()
    }
    rows = pd.concat([table, table[table["curve"] == "cbp"].assign(panel=1)])
    for methods, columns in ((shown.methods, 2), (long, 1)):
        sheet = page(rows, shown.model_copy(update={"methods": methods}))
        first, second = (ax.get_legend() for ax in sheet.axes)
        assert first._ncols == columns
        assert max(one.get_window_extent().width for one in (first, second)) <= sheet.bbox.width / 2


def test_texts_do_not_overlap(table):
    sheet = page(pd.concat([table, table.assign(panel=1)]), figure({"title": "A"}, {"title": "B"}))
    sheet.draw_without_rendering()
    texts = [[*ax.texts, ax._left_title, ax.xaxis.label, ax.yaxis.label] for ax in sheet.axes]
    boxes = [text.get_window_extent() for text in [*sheet.legends, *chain(*texts)]]
    boxes = [box for box in boxes if box.width > 0]
    assert len(boxes) == 7  # the note of both panels is the title of the legend
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


@pytest.mark.filterwarnings("error")
def test_a_remark_does_not_narrow_the_axes(table, drawn, tmp_path):
    marked = draw(table, figure(), tmp_path, remark="results of lop 0.1.0, commit 0123456789, with changes")
    widths = []
    for _, png, _ in (drawn, marked):
        with Image.open(png) as image:
            dark = (np.asarray(image.convert("L")) < 100).mean(axis=0)
        widths.append(np.flatnonzero(dark > 0.3)[0])  # the vertical axis
    assert widths[0] == pytest.approx(widths[1], abs=2)


def test_each_panel_has_its_own_numbers(table, tmp_path):
    shown = figure({}, {"factor": 100}, {})
    rows = pd.concat([table.assign(panel=index) for index in range(3)])
    numbers = pd.read_csv(draw(rows, shown, tmp_path)[2])
    assert numbers.columns[0] == "panel"
    first, second, third = (numbers[numbers["panel"] == index].reset_index() for index in range(3))
    assert np.allclose(second["mean"], 100 * first["mean"])
    assert np.allclose(second["low"], 100 * first["low"])
    pd.testing.assert_series_equal(first["high"], third["high"])
    assert len(page(rows, shown).axes) == 3


THIN = "; thin lines: seeds, bands: 95% intervals"


@pytest.mark.parametrize(
    ("kept", "seeds", "note"),
    [
        ("seed < 9", 3, f"3 seeds, 40 steps{THIN}"),
        ("seed < 2", 3, "2 of 3 seeds, 40 steps; thin lines: seeds"),
        ("seed < 1 or curve == 'cbp'", 3, f"1-3 of 3 seeds, 40 steps{THIN}"),
        ("seed < 1", 3, "1 of 3 seeds, 40 steps"),
        ("seed < 2 or curve == 'cbp'", {"std": 2, "cbp": 3}, f"2-3 seeds, 40 steps{THIN}"),
        ("seed < 9", {"std": 1, "cbp": 2}, f"3 seeds, 40 steps{THIN}"),
        ("seed < 2", {"std": 2, "cbp": 3}, "2 of 2-3 seeds, 40 steps; thin lines: seeds"),
    ],
)
def test_note_states_seeds_steps_and_bands(table, kept, seeds, note):
    assert note_of(table.query(kept), figure({"seeds": seeds}).panels[0], 40) == note


def test_panels_of_the_same_runs_state_the_same_number_of_steps(table):
    """The last value of a metric may be recorded before the end of a run."""
    both = pd.concat([table, table.assign(panel=1)[table["bin"] < 40]])
    assert ["40 steps" in note for note in _notes(both, figure({}, {})).values()] == [True, True]
    assert ["30 steps" in note for note in _notes(both, figure({}, {"to": 30})).values()] == [False, True]


def test_scale_is_stated_once(table):
    """It stands above the axes of a single panel, and above the legend of several."""
    (ax,) = page(table, figure()).axes
    assert [text.get_text() for text in ax.texts] == ["smoke scale, 3 seeds"]
    sheet = page(pd.concat([table, table.assign(panel=1)]), figure({}, {"title": "again"}))
    (legend,) = sheet.legends
    assert legend.get_title().get_text() == "smoke scale, 3 seeds"
    assert not any(text.get_text() for ax in sheet.axes for text in ax.texts)


def test_panels_with_other_methods_have_their_own_legends(table):
    both = pd.concat([table, table.assign(panel=1), table[table["curve"] == "cbp"].assign(panel=2)])
    shown = figure({}, {}, {"curves": {"cbp": {"runs": "rl/ant/cbp"}}})
    sheet = page(both, shown)
    assert not sheet.legends
    labels = [ax.get_legend() and [text.get_text() for text in ax.get_legend().get_texts()] for ax in sheet.axes]
    assert labels == [["Standard PPO", "PPO + CBP + L2"], None, ["PPO + CBP + L2"]]


def test_limits_of_the_axis_are_extended_to_all_seeds(table):
    lowest, highest = table["value"].min(), table["value"].max()
    for limits, expected in ([0, 1000], (0, 1000)), ([50, 60], (lowest, highest)):
        (ax,) = page(table, figure({"y_limits": limits})).axes
        assert ax.get_ylim() == pytest.approx(expected)


def test_curves_can_be_drawn_relative_to_another_curve(table):
    numbers = plotted_numbers(table, figure({"relative_to": "std"}))
    values = table.set_index(["curve", "seed", "bin"])["value"]
    by_hand = (values["cbp"] - values["std"]).groupby("bin").mean()
    assert numbers.loc[numbers["curve"] == "cbp", "mean"].tolist() == pytest.approx(by_hand.tolist())
    assert numbers.loc[numbers["curve"] == "std", ["mean", "low", "high"]].eq(0).all(axis=None)
    with refusal("fig4a", "std"):
        plotted_numbers(table[table["curve"] == "cbp"], figure({"relative_to": "std"}))


@pytest.mark.parametrize(
    ("last", "text"),
    [(150_000, "150k steps"), (50_000_000, "50M steps"), (4_096, "4,096 steps")],
)
def test_note_abbreviates_large_numbers_of_steps(table, last, text):
    assert text in note_of(table, figure().panels[0], last)
    assert "2,000 tasks" in note_of(table, figure({"unit": "tasks"}).panels[0], 2_000)
    noted = note_of(table, figure({"note": "3 x 100 units"}).panels[0], 40)
    assert noted.startswith("3 x 100 units\n3 seeds, ")
    assert "1 seed," in note_of(table[table["seed"] == 0], figure({"seeds": 1}).panels[0], 40)


def test_figure_is_drawn_without_a_missing_curve(table, tmp_path):
    numbers = pd.read_csv(draw(table[table["curve"] == "cbp"], figure(), tmp_path)[2])
    assert numbers["curve"].unique().tolist() == ["cbp"]


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda rows: rows.assign(curve="ns"), ("ns", "std", "cbp")),
        (lambda rows: rows[:0], ("return", 40)),
    ],
)
def test_empty_table_and_unknown_curves_are_rejected(table, tmp_path, change, facts):
    with refusal("fig4a", *facts):
        draw(change(table), figure(), tmp_path)
    assert not list(tmp_path.iterdir())
    with refusal("fig4a, panel b", "return"):
        draw(table, figure({}, {}), tmp_path)


def test_drawing_does_not_import_training_code():
    script = (
        "import sys, lop.figures.by_hand;"
        "heavy = {'torch', 'mujoco', 'gymnasium', 'lop.algos', 'lop.nets', 'lop.envs'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True)


def crosses(ax):
    """Draw a line in place of a picture of the library."""
    ax.plot([0, 1], [0, 1])


def test_picture_needs_no_runs_and_can_accompany_curves(table, tmp_path, monkeypatch):
    monkeypatch.setattr("lop.rl.pictures.ant", crosses)
    alone = Figure(name="fig3a", scale="laptop", caption="", panels=({"picture": "lop.rl.pictures:ant"},), methods={})
    assert runs_of(alone) == []
    assert [picture.module for picture in alone.pictures] == ["lop.rl.pictures"]
    pdf, png, csv = draw(collected(alone, tmp_path), alone, tmp_path)
    assert pdf.stat().st_size > 0
    assert png.stat().st_size > 0
    assert csv.read_text() == "curve,label,step,mean,low,high,n\n"
    both = Figure(name="fig3", scale="laptop", caption="", panels=(*alone.panels, PANEL), methods=METHODS)
    sheet = page(table.assign(panel=1), both)
    picture, curves = sheet.axes
    assert len(picture.lines) == 1
    assert not picture.axison
    assert curves.axison
    assert [ax.get_title("left") for ax in sheet.axes] == ["a", "b"]


@pytest.mark.parametrize(
    "values", [[np.nan] * 4, [np.nan, 1, 2, 3], [1, np.inf, 2, 3], [1, 1e308, -1e308, 2], [1e308] * 4]
)
@pytest.mark.parametrize("changes", [{}, {"y_scale": "log"}, {"y_limits": [0, 5]}])
def test_runs_that_diverged_are_drawn(table, values, changes, tmp_path):
    """The curve of `std` has markers, and some or all of its points are missing."""
    diverged = table.copy()
    diverged.loc[diverged["curve"] == "std", "value"] = 3 * values
    assert all(path.stat().st_size for path in draw(diverged, figure(changes), tmp_path))
    numbers = plotted_numbers(diverged, figure(changes)).set_index("curve")
    assert np.isfinite(numbers.loc["std", "mean"]).tolist() == [abs(value) < 1e300 for value in values]
    assert np.isfinite(numbers.loc["cbp", "mean"]).all()


def test_figure_of_levels_only_is_drawn(table, tmp_path):
    levels = figure({"curves": {"std": {"runs": "rl/ant/std", "level": True}}})
    assert draw(table[(table["curve"] == "std") & (table["bin"] == 40)], levels, tmp_path)
