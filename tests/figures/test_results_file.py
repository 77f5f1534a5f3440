"""Results from files as curves of a figure: collected, drawn and judged beside runs."""

import numpy as np
import pandas as pd
import pytest
from refusals import error_line, refusal
from synthetic import METHODS, PANEL, collected, figure, runs_of, write_runs

from lop.claims.basis import setting_of
from lop.claims.registry import Claim
from lop.claims.table import judged_by_runs
from lop.claims.verdict import REPRODUCED, judge
from lop.data.sets import ImageSource
from lop.figures import by_hand
from lop.figures.draw import draw
from lop.figures.registry import Figure, Panel
from lop.figures.results_file import checked_files, read_results
from lop.figures.runs import appearances, has_paper_parameters, table_path
from lop.runs.parameters import checked
from lop.runs.spec import Conditions

HEADER = "method,seed,step,value\n"
LOOK = {"label": "My method", "colour": "C2", "line": "dotted"}


def frame(values=lambda seed, step: seed + step, seeds=range(3), method="mine"):
    """Return a row every 5 steps up to step 40."""
    rows = [(method, seed, step, float(values(seed, step))) for seed in seeds for step in range(5, 41, 5)]
    return pd.DataFrame(rows, columns=["method", "seed", "step", "value"])


def write(path, rows):
    rows.to_csv(path, index=False) if path.suffix == ".csv" else rows.to_parquet(path)
    return path


def beside(path, **changes):
    """Return a figure with two curves of runs and one of a file."""
    curves = PANEL["curves"] | {"mine": {"file": str(path), "method": "mine"}}
    panel = PANEL | {"curves": curves} | changes
    return Figure(name="fig4a", scale="laptop", caption="", panels=(panel,), methods=METHODS | {"mine": LOOK})


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_rows_of_the_method_are_binned_like_those_of_runs(tmp_path, suffix):
    others = pd.concat([frame(method="another"), frame(seeds=[7])])
    path = write(tmp_path / f"mine.{suffix}", pd.concat([others, frame()])[["step", "value", "method", "seed"]])
    shown = beside(path)
    write_runs(tmp_path, shown.model_copy(update={"panels": figure().panels}))
    table = collected(shown, tmp_path)
    mine = table[table["curve"] == "mine"]
    assert mine[["panel", "seed", "bin", "value", "count"]].to_numpy().tolist() == [
        [0, seed, edge, seed + edge - 2.5, 2] for seed in range(3) for edge in (10, 20, 30, 40)
    ]
    assert mine["layer"].isna().all()
    assert table["curve"].unique().tolist() == ["std", "cbp", "mine"]


def test_level_is_the_mean_over_all_steps(tmp_path):
    path = write(tmp_path / "mine.csv", frame())
    shown = beside(path, curves={"mine": {"file": str(path), "method": "mine", "level": True}})
    assert collected(shown, tmp_path)[["bin", "value", "count"]].to_numpy().tolist() == [
        [40, 22.5 + seed, 8] for seed in range(3)
    ]


def test_a_run_that_diverged_has_no_finite_mean(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + "mine,0,5,1\nmine,0,10,nan\nmine,0,15,\nmine,0,25,inf\nmine,0,35,2\n")
    panel = beside(path, seeds=1, curves={"mine": {"file": str(path), "method": "mine"}})
    assert str(collected(panel, tmp_path)["value"].tolist()) == "[nan, nan, inf, 2.0]"


BAD = {
    "no rows": (HEADER, ()),
    "nothing": ("", ()),
    "other columns": ("method,seed,step,score\nmine,0,5,1\n", ("score", "method, seed, step, value")),
    "an additional column": ("method,seed,step,value,layer\nmine,0,5,1,0\n", ("layer", "method, seed, step, value")),
    "a column twice": ("method,seed,step,step\nmine,0,5,1\n", ("method, seed, step, step",)),
    "semicolons": (HEADER.replace(",", ";") + "mine;0;5;1\n", ("method;seed;step;value", "method, seed, step, value")),
    "a short row": (HEADER + "mine,0,5,1\nmine,0,10\n", ("Row #3", 4, "mine,0,10")),
    "bytes": (b"\xff\x00\xfe" * 10, ()),
    "a method without a name": (HEADER + "mine,0,5,1\n,0,5,1\n", ("row 3", "method", "''")),
    "a seed in words": (HEADER + "mine,0,5,1\nmine,one,5,1\n", ("row 3", "seed", "'one'", 0)),
    "a negative seed": (HEADER + "mine,-1,5,1\n", ("row 2", "seed", "'-1'", 0)),
    "a fractional step": (HEADER + "mine,0,5.5,1\n", ("row 2", "step", "'5.5'", 0)),
    "a step that is NaN": (HEADER + "mine,0,nan,1\n", ("row 2", "step", "'nan'", 0)),
    "an empty step": (HEADER + "mine,0,,1\n", ("row 2", "step", "''", 0)),
    "an infinite step": (HEADER + "mine,0,1e999,1\n", ("row 2", "step", "'1e999'", 0)),
    "a value in words": (HEADER + "mine,0,5,good\n", ("row 2", "value", "'good'", "number")),
    "a step twice": (HEADER + "mine,0,5,1\nmine,0,10,1\nmine,0,5,2\n", ("row 4", "step", "'5'", "method", "seed")),
    "another method": (HEADER + "mien,0,5,1\n", ("mine", "mien")),
    "too few seeds": (HEADER + "mine,1,5,1\n", ("mine", "seed", 1, "0-2", "0, 2")),
    "a step beyond the last": (HEADER + "".join(f"mine,{s},41,1\n" for s in range(3)), ("row 2", "step", "'41'", 40)),
}


@pytest.mark.parametrize(("content", "facts"), BAD.values(), ids=BAD)
def test_bad_file_is_refused(tmp_path, content, facts):
    path = tmp_path / "mine.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with refusal(path, *facts):
        checked_files(beside(path))


@pytest.mark.parametrize(
    ("column", "values", "found"),
    [
        ("seed", True, "'True'"),
        ("step", pd.Timestamp("2026-01-02"), "'2026-01-02 00:00:00'"),
        ("step", np.nan, "'nan'"),
        ("method", None, "'None'"),
        ("value", "good", "'good'"),
    ],
)
def test_bad_type_in_parquet_is_refused(tmp_path, column, values, found):
    path = write(tmp_path / "mine.parquet", frame().assign(**{column: values}))
    with refusal(path, "row 1", column, found):
        checked_files(beside(path))


def test_missing_and_damaged_files_are_refused(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path / "none.parquet"):
        for use in (lambda shown: table_path(shown, []), checked_files):
            with refusal(path):
                use(beside(path))
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"PAR1" * 9)
    with refusal(path):
        checked_files(beside(path))


def test_types_of_other_programs_are_accepted(tmp_path):
    """Whole numbers as floats, a byte order mark, spaces, a categorical method, an index of pandas."""
    text = tmp_path / "mine.csv"
    text.write_text("\ufeff" + HEADER + 'mine, 0, 5.0, 1\r\n"mine",0,1e1,2\r\n\r\n', "utf-8")
    binary = frame(seeds=[0])[:2].assign(step=[5.0, 10.0], value=[1, 2]).astype({"method": "category", "seed": "uint8"})
    panels = [beside(text), beside(write(tmp_path / "mine.parquet", binary.set_index("step")))]
    for panel in (one.curve_panels[0].model_copy(update={"seeds": (0,)}) for one in panels):
        (rows,) = read_results(panel, "mine").values()
        assert rows.select(["step", "value"]).to_pydict() == {"step": [5, 10], "value": [1.0, 2.0]}


def test_name_of_the_table_depends_on_the_content_and_on_the_method(tmp_path):
    path = write(tmp_path / "mine.csv", frame())
    runs = runs_of(beside(path))
    first = table_path(beside(path), runs)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(path.read_bytes())
    assert table_path(beside(copy), runs) == first
    assert (
        table_path(beside(path, seeds={curve: 3 - (curve == "mine") for curve in beside(path).methods}), runs) != first
    )
    other = {"curves": PANEL["curves"] | {"mine": {"file": str(path), "method": "another"}}}
    assert table_path(beside(path, **other), runs) != first
    write(path, frame(lambda seed, step: 0.0))
    assert table_path(beside(path), runs) != first
    assert table_path(figure(), runs) == table_path(beside(path, curves=PANEL["curves"]), runs)


def test_the_figure_and_its_numbers_show_the_curve(tmp_path):
    path = write(tmp_path / "mine.csv", frame())
    shown = beside(path, factor=2)
    write_runs(tmp_path, shown.model_copy(update={"panels": figure().panels}))
    assert appearances(shown, Conditions())[0]["mine"].label == "My method"
    _, _, csv = draw(collected(shown, tmp_path), shown, tmp_path)
    numbers = pd.read_csv(csv).set_index(["curve", "step"]).loc[("mine", 40)]
    assert (numbers["label"], numbers["mean"], numbers["n"]) == ("My method", 77.0, 3)  # 2 * (37.5 + 1)
    assert numbers["low"] < 77 < numbers["high"]


def test_a_claim_is_judged_on_the_curve(tmp_path):
    """Differences by seed: 101, 102 and 103."""
    path = write(tmp_path / "mine.csv", frame(lambda seed, step: 101 + seed))
    write(tmp_path / "zero.csv", frame(lambda seed, step: 0, method="zero"))
    curves = {
        "mine": {"file": str(path), "method": "mine"},
        "std": {"file": str(tmp_path / "zero.csv"), "method": "zero"},
    }
    shown = beside(path, curves=curves)
    sides = {side: {"curve": curve, "window": [0, 1]} for side, curve in (("higher", "mine"), ("lower", "std"))}
    claim = Claim(says="Mine is higher.", **sides)
    verdict = judge(claim, collected(shown, tmp_path), shown, 0, setting_of(shown, 0, ImageSource()))
    assert (verdict.verdict, verdict.difference.value, verdict.n) == (REPRODUCED, 102, 3)
    assert not verdict.paper_parameters


def test_a_figure_of_files_alone_needs_no_runs(tmp_path, monkeypatch):
    path = write(tmp_path / "mine.csv", frame())
    shown = beside(path, curves={"mine": {"file": str(path), "method": "mine"}})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(by_hand, "load_figure", lambda name, scale: shown)
    monkeypatch.setattr(by_hand, "all_have_paper_parameters", lambda *_: False)
    by_hand.main("fig4a", ["--results", "none"])
    assert (tmp_path / "fig4a.pdf").exists()
    claim = Claim(says="Mine is above 0.", higher={"curve": "mine", "window": [0, 1]}, lower=0)
    monkeypatch.setattr("lop.claims.table.load_claims", lambda name: [(0, claim)])
    assert judged_by_runs(shown, tmp_path, Conditions())["n"].tolist() == [3]


def test_by_hand_a_bad_file_ends_in_one_line(tmp_path, monkeypatch, capsys):
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + "mine,0,5,x\n")
    shown = beside(path, curves={"mine": {"file": str(path), "method": "mine"}})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(by_hand, "load_figure", lambda name, scale: shown)
    monkeypatch.setattr(by_hand, "all_have_paper_parameters", lambda *_: False)
    assert "mine.csv: row 2" in error_line(capsys, by_hand.main, "fig4a", ["--results", "none"])


def test_a_panel_with_a_file_does_not_have_the_paper_parameters(monkeypatch, tmp_path):
    path = write(tmp_path / "mine.csv", frame())
    shown = beside(path)
    monkeypatch.setattr("lop.figures.runs.load_figure", lambda name, scale: shown)
    assert not has_paper_parameters(shown, 0, ImageSource())


@pytest.mark.parametrize(
    ("curve", "facts"),
    [
        ({"file": "mine.csv"}, ("curves.mine.method",)),
        ({"file": "mine.txt", "method": "mine"}, ("curves.mine.file", "mine.txt", ".csv", ".parquet")),
        ({"file": "{a}.csv", "method": "mine"}, ("curves.mine.file", "{a}.csv", "braces")),
        ({"file": "mine.csv", "method": "mine", "runs": "rl/ant/std"}, ("curves.mine.runs",)),
        ({"method": "mine"}, ("curves.mine", "runs", "file")),
    ],
)
def test_bad_definition_is_refused(curve, facts):
    with refusal("figures.yaml", *facts):
        checked(Panel, PANEL | {"curves": {"mine": curve}}, "figures.yaml")
