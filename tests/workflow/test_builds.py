"""Builds of figures: what they create, repeat and keep."""

import os
import re
import shutil
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from project import DRAW, FIGURE, JOBS, RUNS, TABLE, Project
from refusals import names

from lop.common.paths import ROOT
from lop.runs.metrics import read_about

REBINNED = "fig4a: {seeds: 2, to: 4_096, bin: 1_024", "fig4a: {seeds: 2, to: 3_000, bin: 1_000"


def test_one_command_builds_pdf_png_and_table(built):
    for suffix in ("pdf", "png", "csv"):
        assert (built / f"figures/fig4a.{suffix}").stat().st_size > 500
    assert b"/FontFile2" in (built / "figures/fig4a.pdf").read_bytes()
    rows = (built / "figures/fig4a.csv").read_text().splitlines()
    assert rows[0] == "curve,label,step,mean,low,high,n"
    assert {row.split(",")[0] for row in rows[1:]} == {"std", "ns", "l2", "cbp"}
    horizons = [read_about(path)["horizon"] for path in built.glob("results/rl/*/*/*/metrics-*.parquet")]
    assert horizons == len(RUNS) * [4_096]


@pytest.mark.slow
def test_two_calls_of_snakemake_may_build_the_same_figure_at_once(fresh):
    command = fresh.command("figures/ed2_cbp.pdf", "--cores", "1")
    output = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    started = [subprocess.Popen(command, cwd=fresh.folder, env=fresh.environment, **output) for _ in range(2)]
    told = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], "\n".join(told)
    assert (fresh.folder / "figures/ed2_cbp.csv").read_text().count("\n") > 1
    assert not fresh.stale("figures/ed2_cbp.pdf")


def test_a_new_method_takes_a_file_and_two_lines(project):
    """A copy of a cfg file requests existing runs until a number in it changes."""
    shutil.copy(project.folder / "lop/rl/cfg/ant/std.yml", project.folder / "lop/rl/cfg/ant/mine.yml")
    project.edit("config/figures.yaml", "methods:\n", "methods:\n  mine: {label: Mine, colour: C2, line: dashdotdot}\n")
    curves = "      cbp: {runs: rl/ant/cbp}\n"
    project.edit("config/figures.yaml", curves, curves + "      mine: {runs: rl/ant/mine}\n")
    assert project.stale(FIGURE) == {TABLE, DRAW}
    project.edit("lop/rl/cfg/ant/mine.yml", "lr: 0.0001", "lr: 0.0003")
    assert project.stale(FIGURE) == {"rl/ant/mine seed 0-1", TABLE, DRAW}
    assert "Runs to train: 2, less than 0.01 core-hours in total" in project.build(FIGURE)
    assert "Mine" in (project.folder / "figures/fig4a.csv").read_text()


@pytest.mark.slow
def test_undoing_a_change_repeats_no_run(project):
    before = project.metrics("ant/l2")
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    after = project.metrics("ant/l2")
    project.build(FIGURE)
    assert not pq.read_table(after).equals(pq.read_table(before))
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0002", "lr: 0.0001")
    assert project.stale(FIGURE) == {DRAW}  # the old table also exists
    project.build(FIGURE)
    assert project.stale(FIGURE) == set()


def test_a_repeated_job_does_not_train_again(project):
    """Without the profile, Snakemake repeats jobs whose rule has changed."""
    before = project.metrics().read_bytes()
    project.edit("workflow/rules/train.smk", '"exec {resources.command}', '"exec  {resources.command}')
    assert project.stale(FIGURE) == set()
    log = project.build(project.target(), "--workflow-profile", "none", "--nolock")
    assert "1 of 1 steps" in log
    assert project.metrics().read_bytes() == before  # including the time at which the run ended


def test_results_copied_from_elsewhere_are_found(built, fresh):
    shutil.copytree(built / "results", fresh.folder / "results", copy_function=shutil.copy2)
    assert fresh.stale(FIGURE) == {DRAW}
    for seconds, path in enumerate(sorted((fresh.folder / "results").rglob("*.parquet"))):
        os.utime(path, (seconds * 10**7, seconds * 10**7))
    fresh.build(FIGURE)
    assert fresh.stale(FIGURE) == set()


def test_runs_of_a_shorter_scale_are_cut_from_longer_ones(project):
    project.edit("config/scales/smoke.yaml", "rl/*: {n_steps: 4_096}", "rl/*: {n_steps: 3_000}")
    project.edit("config/scales/smoke.yaml", *REBINNED)
    assert project.stale(FIGURE) == JOBS | {TABLE, DRAW}
    checkpoints = {path: path.stat().st_mtime_ns for path in project.folder.glob("results/rl/*/*/*/checkpoint.pt")}
    project.build(FIGURE)
    assert len(list(project.folder.glob("results/rl/*/*/*/metrics-3000.parquet"))) == len(RUNS)
    assert len(list(project.folder.glob("results/rl/*/*/*/metrics-4096.parquet"))) == len(RUNS)
    assert all(path.stat().st_mtime_ns == time for path, time in checkpoints.items())  # no step was run


@pytest.mark.parametrize("length", [0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_a_damaged_result_is_named_and_nothing_is_lost(project, length):
    path = project.metrics("ant/cbp", 1)
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content))])
    assert str(path.relative_to(project.folder)) in project.refusal(FIGURE)
    path.unlink()
    project.build(project.target("ant/cbp", 1))
    assert pq.read_table(path).equals(pq.read_table(pa.BufferReader(content)))  # from the checkpoint


def test_a_run_with_other_parameters_is_refused(project):
    shutil.copy(project.metrics("ant/l2"), project.metrics("ant/ns"))
    names(project.refusal(FIGURE), project.target("ant/ns"), "wd", "0.001", "0.0")


def test_a_lost_seed_of_a_job_is_restored_and_the_others_are_not_repeated(project):
    files = sorted(project.folder.glob("results/slowly_changing_regression/*/*/seed-*/metrics-20000.parquet"))
    lost = files[7]
    before = {path: path.read_bytes() for path in files}  # including the time at which each run ended
    lost.unlink()
    project.build(str(lost.relative_to(project.folder)))
    assert {path: path.read_bytes() for path in files} == before


def test_the_top_level_snakefile_includes_the_workflow():
    """The workflow catalogue and `snakedeploy` look for these files."""
    assert (ROOT / ".snakemake-workflow-catalog.yml").is_file()
    assert (ROOT / "workflow/Snakefile").is_file()
    assert 'include: "workflow/Snakefile"' in (ROOT / "Snakefile").read_text()


@pytest.mark.slow
def test_another_workflow_can_use_this_one_as_a_module(tmp_path, fresh):
    """`snakedeploy deploy-workflow` writes such a Snakefile and copies config/."""
    folder = tmp_path / "deployed"
    (folder / "workflow").mkdir(parents=True)
    shutil.copytree(fresh.folder / "config", folder / "config")
    (folder / "workflow/Snakefile").write_text(f"""
configfile: "config/config.yaml"

module lop:
    snakefile: "{fresh.folder}/workflow/Snakefile"
    config: config

use rule * from lop
""")
    (folder / "config/scales/tiny.yaml").write_text(
        "runs:\n  rl/*: {n_steps: 2_048}\nfigures:\n  ed5c: {seeds: 1, to: 2_048, bin: 2_048}\n"
    )
    command = fresh.command("figures/ed5c.pdf", "--cores", "2", "--config", "scale=tiny")
    done = fresh.run(*command, folder=folder)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (folder / "figures/ed5c.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(folder.glob("results/rl/*/*/seed-0/metrics-2048.parquet"))) == 2


def test_the_linter_of_snakemake_finds_no_more_than_the_missing_environments(tmp_path):
    """The rules import lop, so Snakemake itself runs in its environment, and no rule needs one of its own."""
    project = Project(tmp_path / "project")
    done = project.run(*project.command("--lint"))
    found = set(re.findall(r"^ +\* (.+):$", done.stderr + done.stdout, re.MULTILINE))
    assert found == {"Specify a conda environment or container for each rule."}, done.stderr + done.stdout
