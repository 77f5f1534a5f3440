"""Results are published with the origin of their runs. tests/workflow/test_published.py publishes whole figures."""

import math

import pytest
from refusals import error_line, names, refusal
from written import about, write_run

from lop.figures.registry import figure_names
from lop.problems import PROBLEMS
from lop.report import publish
from lop.runs import published
from lop.runs.metrics import read_about
from lop.runs.published import Table, table_to_draw
from lop.runs.spec import resolve

SPEC = resolve(PROBLEMS["rl"], "ant/std", 0, "smoke")


def test_history_sums_core_hours_and_lists_every_machine_and_version():
    earlier = {"from": 0, "machine": {"processor": "first"}, "versions": {"torch": "1"}}
    runs = [about(SPEC, seconds=5400.0, earlier=[earlier]), about(SPEC, ended="2026-02-03T03:04:05")]
    found = publish.history(runs)
    names(found, "2 runs", "2 core-hours", "2026-02-03", "first", "a <b>processor</b>", "python 3.11, torch 1, torch 2")
    assert publish.history([]) == "no runs"  # of a picture


def test_published_copy_of_a_run_does_not_name_the_machine_and_is_not_copied_again(tmp_path):
    source = write_run(tmp_path / "results", SPEC, [("return", 1000, None, 2.5)])
    target = tmp_path / "published" / SPEC.path
    publish.copy_run(source, target, SPEC)
    assert read_about(source)["machine"]["node"] == "here"
    assert "here" not in read_about(target)["machine"].values()
    written = target.stat()
    publish.copy_run(target, target, SPEC)
    assert target.stat() == written


CURRENT, EARLIER = "0123456789abcdef", "fedcba9876543210"


@pytest.mark.parametrize(
    ("key", "runs", "choice", "hours", "drawn"),
    [
        (CURRENT, ["a"], "ask", 0.0, "published"),
        (CURRENT, ["a"], "train", 0.0, "published"),
        (EARLIER, ["a"], "ask", 0.5, "own"),
        (EARLIER, ["a"], "train", 50.0, "own"),
        (EARLIER, ["a"], "draw", 50.0, "published"),
        (EARLIER, ["a"], "ask", 50.0, None),
        (EARLIER, ["a"], "ask", math.nan, None),
        (CURRENT, [], "ask", 50.0, "own"),  # only the table is published
        (CURRENT, [], "train", 50.0, "own"),
        (CURRENT, [], "draw", 50.0, "published"),
    ],
)
def test_own_or_published_table_is_drawn(key, runs, choice, hours, drawn, tmp_path, monkeypatch):
    table = Table(path=tmp_path / "fig4a.parquet", key=key, collected="", runs=runs, version="", made_by="")
    monkeypatch.setattr(published, "published_tables", lambda scale: {"fig4a": table})
    own = tmp_path / "results" / f"{CURRENT}.parquet"
    if drawn is None:
        with refusal("published", "ask", "train", "draw", "fig4a", "unknown" if math.isnan(hours) else "about 50"):
            table_to_draw("fig4a", "smoke", own, choice, hours)
        return
    assert table_to_draw("fig4a", "smoke", own, choice, hours) == {"own": own, "published": table.path}[drawn]
    assert table_to_draw("fig4b", "smoke", own, choice, 0.0) == own
    if choice == "draw":
        with refusal("published", "draw", "ask, train", "fig4b", "smoke"):
            table_to_draw("fig4b", "smoke", own, choice, math.nan)
    own.parent.mkdir()
    own.touch()
    assert table_to_draw("fig4a", "smoke", own, choice, hours) == own


@pytest.mark.parametrize("figure", ["fig9", ""])
def test_unknown_figure_is_rejected(figure, tmp_path, capsys):
    line = error_line(capsys, publish.main, [figure, "--scale", "smoke", "--published", str(tmp_path / "published")])
    names(line, repr(figure), *figure_names())
    assert not list(tmp_path.iterdir())
