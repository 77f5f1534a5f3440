"""Figures of Continual ImageNet, whose images come in files by class; claims about them; and what they would cost."""

from pathlib import Path

import pytest
import yaml
from test_workflow import Project

from lop.data.sets import Images
from lop.imagenet.problem import classes_until

FIGURE = "figures/fig1b_first.pdf"
SETTINGS = [f"bp step_size={size}" for size in ("0.01", "0.001", "0.0001")] + ["linear step_size=0.001"]
RUNS = {f"imagenet/{setting} seed {seed}" for setting in SETTINGS for seed in (0, 1)}
TEST = "test the claims"
CLAIMS = "figures/claims.csv"
FOLDER = Images().folder("imagenet", Path("data")) / "classes"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("imagenet") / "project")
    assert project.stale(FIGURE) == RUNS | {"collect fig1b_first", "draw fig1b_first", "data glyphs imagenet 0-9"}
    project.log = project.build(FIGURE)
    return project


def test_only_classes_that_are_needed_are_made(project):
    assert project.log.count(": done, 8 epochs") == len(RUNS)
    assert sorted(path.name for path in (project.folder / FOLDER).glob("*.npy")) == [f"{n}.npy" for n in range(10)]
    assert project.stale(FIGURE) == set()


def test_a_run_of_all_classes_waits_for_all_of_them(project):
    project.edit("config/scales/smoke.yaml", "    total_classes: 4\n    num_tasks: 4", "    num_tasks: 40")
    project.edit("config/scales/smoke.yaml", "fig1b_first: {seeds: 2, to: 4}", "fig1b_first: {seeds: 2, to: 40}")
    made = {job for job in project.stale(FIGURE) if job.startswith("data ")}
    tens = {number // 10 for seed in (0, 1) for number in classes_until(seed, 1000, 2 * 40)}
    assert made == {f"data glyphs imagenet {10 * ten}-{10 * ten + 9}" for ten in tens - {0}}  # 0 is there
    project.edit("config/scales/smoke.yaml", "    num_tasks: 40", "    total_classes: 4\n    num_tasks: 4")
    project.edit("config/scales/smoke.yaml", "fig1b_first: {seeds: 2, to: 40}", "fig1b_first: {seeds: 2, to: 4}")
    assert project.stale(FIGURE) == set()


def test_a_claim_changes_and_no_run_is_repeated(project):
    """Only one figure has claims here."""
    claims = yaml.safe_load((project.folder / "config/claims.yaml").read_text())
    (project.folder / "config/claims.yaml").write_text(yaml.safe_dump({"fig1b_first": claims["fig1b_first"]}))
    assert project.stale(CLAIMS) == {TEST}
    project.build(CLAIMS)
    assert project.stale(CLAIMS) == set()
    project.edit("config/claims.yaml", "says: In the first tasks", "says: In early tasks")
    assert project.stale(CLAIMS) == {TEST}
    project.build(CLAIMS)
    text = (project.folder / CLAIMS).read_text()
    assert "In early tasks" in text
    assert "undecided at this scale" in text
    assert project.stale(FIGURE) == set()
    project.edit("config/figures.yaml", "    factor: 100\n    to: 10\n", "    factor: 1\n    to: 10\n")
    assert project.stale(CLAIMS) == {TEST}
    project.edit("config/figures.yaml", "    factor: 1\n    to: 10\n", "    factor: 100\n    to: 10\n")
    assert project.stale(CLAIMS) == set()


def test_a_plan_starts_no_run(project):
    done = project.snakemake("plan", "--cores", "1")
    assert done.returncode == 0, done.stderr
    lines = {line.split("  ")[0]: line.split() for line in (done.stdout + done.stderr).splitlines()}
    assert lines["fig1b_first"][1:4] == ["8", "8", "nothing"]
    assert lines["fig4a"][1:5] == ["8", "0", "8", "missing"]
    assert not (project.folder / "results/rl").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("scale=smok", "scale: found 'smok', allowed: laptop, paper, smoke"),
        ("data={source: glyph}", "key `data.source`: found 'glyph'"),
        ("checkpoint_every=soon", "key `checkpoint_every`: found 'soon'"),
    ],
)
def test_a_mistake_in_the_configuration_is_one_line(project, given, message):
    done = project.snakemake("claims", "-n", "--config", given)
    assert done.returncode == 2
    assert [line for line in (done.stdout + done.stderr).splitlines() if message in line]
    assert "Traceback" not in done.stderr
    assert "schema" not in done.stderr
