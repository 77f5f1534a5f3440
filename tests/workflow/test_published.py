"""Figures are drawn from results that are shipped with the project; expensive runs need the user's decision."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from project import DRAW, FIGURE, TABLE
from refusals import names

from lop.runs.tables import ABOUT, read_table, write_table

PUBLISH = ("-m", "lop.report.publish", "fig4a", "--scale", "smoke")
VERIFY = ("-m", "lop.report.verify", "--scale", "smoke", "--seconds", "0.01")
DRAWN_FROM = "published results of 8 runs"
METHODS = ("std", "ns", "l2", "cbp")


@pytest.fixture
def shipped(project):
    """A project with published results of figure 4a, and without results of its own."""
    done = project.run(project.python, *PUBLISH)
    assert done.returncode == 0, done.stderr
    for folder in ("results", "figures"):
        shutil.rmtree(project.folder / folder)
    return project


def published_runs(project):
    return sorted((project.folder / "published/runs").glob("*/*/*/*/metrics-*.parquet"))


def test_a_figure_is_drawn_from_published_results(shipped):
    log = shipped.build(FIGURE)
    (line,) = (line for line in log.splitlines() if DRAWN_FROM in line)
    names(line, "torch", "numpy")
    assert "Runs to train" not in log
    assert not list(shipped.folder.glob("results/rl/*"))
    for suffix in ("pdf", "png", "csv"):
        drawn, published = (shipped.folder / place / f"fig4a.{suffix}" for place in ("figures", "published/smoke"))
        assert drawn.read_bytes() == published.read_bytes()


def test_figures_that_are_not_published_use_published_runs(shipped):
    (shipped.folder / "published/smoke/index.json").unlink()
    assert shipped.stale(FIGURE) == {TABLE, DRAW}
    shipped.build(FIGURE)


def test_published_files_do_not_name_the_machine(shipped):
    for path in published_runs(shipped):
        about = json.loads(pq.read_schema(path).metadata[b"lop"])
        assert about["machine"]["node"] == "another machine"
    claims = (shipped.folder / "published/smoke/claims.md").read_text()
    assert "| fig4a (smoke) |" in claims


@pytest.mark.slow
def test_the_user_chooses_what_happens_after_a_change(shipped):
    draw, train = (("--config", "scale=smoke", f"published={choice}") for choice in ("draw", "train"))
    changed = {"rl/ant/l2 seed 0-1", TABLE, DRAW}
    shipped.build(FIGURE)
    shipped.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    assert shipped.stale(FIGURE) == changed  # cheap runs are executed without asking
    assert DRAWN_FROM in shipped.build(FIGURE, *draw)
    with Image.open(shipped.folder / "figures/fig4a.png") as drawn:
        names(drawn.info["Remark"], "results of lop")
    for target in ("figures/claims.csv", "figures/fig4a.crate.zip"):
        names(shipped.refusal(target, *draw), "published", "draw", "ask", "train")
    shipped.build(FIGURE)  # own results exist from now on
    with Image.open(shipped.folder / "figures/fig4a.png") as drawn:
        assert "Remark" not in drawn.info
    shipped.edit("config/scales/smoke.yaml", "rl/*: {n_steps: 4_096}", "rl/*: {n_steps: 40_000_000}")
    names(shipped.refusal(FIGURE), "published", "ask", "train", "draw", "fig4a", "smoke", "hours", "snakemake plan")
    assert shipped.stale(FIGURE, *train) == {*(f"rl/ant/{method} seed 0-1" for method in METHODS), TABLE, DRAW}
    shipped.edit("config/scales/smoke.yaml", "fig4a: {seeds: 2, to: 4_096", "fig4a: {seeds: 2, to: 8_192")
    names(shipped.refusal(FIGURE, *draw), "published", "draw", "train", "fig4a", "smoke")


def test_a_crate_contains_published_runs(shipped):
    shipped.build("figures/fig4a.crate.zip")


def test_repeated_runs_are_compared(shipped):
    done = shipped.run(shipped.python, *VERIFY, "--runs", "2", "fig4a")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("bit-identical") == 2
    names(done.stdout.splitlines()[-1], "2 of 2", "8")


def test_a_forged_value_is_found(shipped):
    """Its digest fits, so that only repeating the run can tell."""
    for path in published_runs(shipped):
        table = read_table(path)
        values = pa.array(table["value"].to_numpy() + 1.0)
        forged = table.set_column(table.column_names.index("value"), "value", values)
        write_table(forged, path, table.schema.metadata[ABOUT].decode())
    done = shipped.run(shipped.python, *VERIFY, "--runs", "1")
    assert done.returncode == 1, done.stdout + done.stderr
    names(done.stdout.splitlines()[0], "differ", "same")
    names(done.stdout.splitlines()[-1], "0 of 1")


def test_nothing_can_be_verified_after_a_change_of_code(shipped):
    shipped.append("lop/engines/ppo/agent.py", "\nEXTRA = 1\n")
    done = shipped.run(shipped.python, *VERIFY)
    assert done.returncode == 2
    names(done.stderr, "error", "smoke", "code")


@pytest.mark.slow
def test_unused_runs_are_deleted_from_the_publication(project):
    assert project.run(project.python, *PUBLISH).returncode == 0
    before = published_runs(project)
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    done = project.run(project.python, *PUBLISH)
    assert done.returncode == 2
    names(done.stderr, "no such file", "make", "results/tables/fig4a")
    project.build(FIGURE, "--config", "scale=smoke", "published=train")
    assert project.run(project.python, *PUBLISH).returncode == 0
    after = published_runs(project)
    assert len(after) == len(before) == 8
    assert len(set(before) - set(after)) == 2
