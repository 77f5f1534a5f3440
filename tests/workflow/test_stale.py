"""A change makes stale only the jobs that depend on it."""

import shutil

import pytest
from project import DRAW, FIGURE, JOBS, SEEDS_PER_JOB, TABLE

from lop.plan.resources import resources
from lop.problems import PROBLEMS
from lop.runs.spec import resolve

BINS = "fig4a: {seeds: 2, to: 4_096, bin: "  # in the file of the smoke scale
BP = "slowly_changing_regression/sgd/bp"
CURVES = {f"{BP}/{name} step_size=0.01" for name in ("relu", "linear")} | {
    f"slowly_changing_regression/sgd/cbp/relu replacement_rate={rate}" for rate in ("1e-05", "0.0001", "0.001", "0.01")
}
AFTER = {"collect ed2_cbp", "draw ed2_cbp"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: None, set()),
        (
            lambda p: p.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002"),
            {"rl/ant/l2 seed 0-1", TABLE, DRAW},
        ),
        (
            lambda p: p.edit("config/scales/smoke.yaml", "seeds: 2", "seeds: 3"),
            {f"rl/ant/{method} seed 2-3" for method in ("std", "ns", "l2", "cbp")} | {TABLE, DRAW},
        ),
        (
            lambda p: p.edit(
                "config/scales/smoke.yaml", "fig4a: {seeds: 2", "fig4a: {seeds: {std: 3, ns: 1, l2: 2, cbp: 2}"
            ),
            {"rl/ant/std seed 2-3", TABLE, DRAW},
        ),
        (lambda p: p.append("lop/engines/ppo/agent.py", "\nEXTRA = 1\n"), JOBS | {TABLE, DRAW}),
        (
            lambda p: (
                p.append("lop/engines/ppo/agent.py", "\n# a comment\n"),
                p.append("lop/runs/progress.py", "\nEXTRA = 1\n"),
                p.append("workflow/rules/train.smk", "\n\nEXTRA = 1\n"),
                p.append("lop/rl/README.md", "more\n"),
                p.edit("lop/rl/cfg/ant/l2.yml", "label: PPO+L2", "label: other"),
                p.metrics().unlink(),
            ),
            set(),
        ),
        (lambda p: p.append("lop/figures/plotting.py", "\n# a comment\n"), {DRAW}),
        (lambda p: p.edit("config/figures.yaml", "y_label: Return per episode", "y_label: Return"), {DRAW}),
        (lambda p: p.edit("config/scales/smoke.yaml", BINS + "1_024", BINS + "2_048"), {TABLE, DRAW}),
        (
            lambda p: (p.metrics().unlink(), p.edit("config/scales/smoke.yaml", BINS + "1_024", BINS + "2_048")),
            {"rl/ant/std seed 0-1", TABLE, DRAW},
        ),
    ],
    ids=[
        "nothing",
        "a parameter",
        "a seed",
        "a seed of a curve",
        "scientific code",
        "a comment, plumbing, a rule, a README, a label and a deleted run",
        "a comment of plotting code",
        "an axis label",
        "bins",
        "bins and a deleted run",
    ],
)
def test_only_what_depends_on_a_change_is_stale(project, change, expected):
    change(project)
    assert project.stale(FIGURE) == expected


def test_curves_may_differ_only_in_the_inputs_of_their_seeds(fresh):
    (fresh.folder / "frictions.txt").write_text(2 * "0.1 0.2 0.3 0.4 0.5\n")
    own = fresh.folder / "lop/rl/cfg/sant/own.yml"
    shutil.copy(own.with_name("std.yml"), own)
    fresh.append("lop/rl/cfg/sant/own.yml", f"\nfrictions_file: {fresh.folder}/frictions.txt\n")
    fresh.edit("config/figures.yaml", "l2: rl/sant/l2", "l2: rl/sant/own")
    names = {f"rl/sant/{config} seed 0-1" for config in ("std", "cbp")} | {f"rl/sant/own seed {n}" for n in (0, 1)}
    assert names <= fresh.stale("figures/fig3c.pdf")


def test_all_leaves_out_the_figures_that_this_machine_cannot_draw(fresh):
    fresh.edit("lop/rl/pictures.py", "if find_library(library)", "if False")
    done = fresh.snakemake("-n", "all")
    assert done.returncode == 0, done.stderr
    told = [line.split(":")[1].strip() for line in done.stderr.splitlines() if line.startswith("left out: ")]
    assert sorted(told) == ["fig3", "fig3a"]
    planned = {line.split()[3] for line in (done.stdout + done.stderr).splitlines() if ": draw " in line}
    assert {"fig3b", "fig3c", "ed2b"} <= planned - {"fig3", "fig3a"} == planned
    assert fresh.refusal("figures/fig3a.pdf")


def test_the_plan_says_why_runs_are_missing(project):
    project.edit("lop/rl/cfg/ant/ns.yml", "beta_1: 0.99", "beta_1: 0.95")
    done = project.snakemake("plan", "--cores", "1")
    assert done.returncode == 0, done.stderr
    rows = {line.split()[0]: line for line in done.stdout.splitlines() if line.startswith("fig")}
    assert rows["fig4a"].split()[1:4] == ["8", "6", "2"]
    assert "beta_1" in rows["fig4a"]
    assert rows["fig1b_first"].split()[1:3] == ["8", "8"]
    assert rows["fig3b"].split()[2] == "0"
    assert not list(project.folder.glob("results/rl/env_name=SlipperyAnt*"))


@pytest.mark.parametrize(
    ("number", "jobs"),
    [
        pytest.param(1, [str(seed) for seed in range(3, 13)], marks=pytest.mark.slow),
        pytest.param(3, ["3-5", "6-8", "9", "10-12"], marks=pytest.mark.slow),
        (4, ["0-3", "4-7", "8-9", "10-13"]),
        pytest.param(10, ["0-9", "10-19"], marks=pytest.mark.slow),
    ],
)
def test_jobs_of_several_seeds(project, number, jobs):
    """Three seeds exist, and 13 are requested; a job is necessary if one of its seeds is missing."""
    files = list(project.folder.glob("results/slowly_changing_regression/*/*/seed-*/metrics-20000.parquet"))
    assert len(files) == 3 * len(CURVES)
    project.edit("config/scales/smoke.yaml", SEEDS_PER_JOB, f"seeds_per_job: {{'slowly_*': {number}}}")
    assert project.stale("figures/ed2_cbp.pdf") == set()
    project.edit("config/scales/smoke.yaml", "ed2_cbp: {seeds: 3", "ed2_cbp: {seeds: 13")
    assert project.stale("figures/ed2_cbp.pdf") == {f"{curve} seed {job}" for curve in CURVES for job in jobs} | AFTER


def test_the_time_limit_of_a_job_covers_all_its_seeds(project):
    project.edit("config/scales/smoke.yaml", "rl/*: {n_steps: 4_096}", "rl/*: {n_steps: 2_000_000}")
    project.edit("workflow/rules/train.smk", '"{resources.runs}"', '"{resources.runs}: {resources.runtime} minutes"')
    spec = resolve(PROBLEMS["rl"], "ant/std", 0, "smoke", overrides={"n_steps": 2_000_000})
    limit = resources(spec, seeds=2).runtime
    assert limit > resources(spec).runtime
    assert project.stale(project.target()) == {f"rl/ant/std seed 0-1: {limit} minutes"}


def test_snakemake_looks_for_ready_jobs_only_when_one_has_ended(build_log):
    ended = build_log.count("Finished jobid")
    assert ended > 20
    assert 0 < build_log.count("Ready jobs: ") <= ended + 1


def test_a_changed_parameter_makes_only_its_config_stale(project):
    cfg = "lop/slowly_changing_regression/cfg/sgd/bp/linear.yml"
    project.edit(cfg, "beta: 0.7", "beta: 0.8")
    assert project.stale("figures/ed2_cbp.pdf") == {f"{BP}/linear step_size=0.01 seed 0-2"} | AFTER


@pytest.mark.parametrize(
    ("module", "expected"), [("lop/rl/run_ppo.py", False), ("lop/engines/online/kernel.py", True)], ids=["rl", "kernel"]
)
def test_only_code_that_its_problem_imports_makes_a_run_stale(project, module, expected):
    project.append(module, "\nNOTHING = 0\n")
    jobs = {f"{curve} seed 0-2" for curve in CURVES} | AFTER
    assert project.stale("figures/ed2_cbp.pdf") == (jobs if expected else set())
