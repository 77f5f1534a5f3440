"""Problems whose runs are shorter than their start: a job does ten seeds, and each seed is still a run of its own."""

import pytest
from test_workflow import Project

FIGURE = "figures/ed2_cbp.pdf"
BP = "slowly_changing_regression/sgd/bp"
CURVES = {f"{BP}/{name} step_size=0.01" for name in ("relu", "linear")} | {
    f"slowly_changing_regression/sgd/cbp/relu replacement_rate={rate}" for rate in ("1e-05", "0.0001", "0.001", "0.01")
}
AFTER = {"collect ed2_cbp", "draw ed2_cbp"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("tens") / "project")
    project.log = project.build(FIGURE, "--verbose")
    return project


def test_ten_seeds_a_job_each_with_files_of_its_own(project):
    assert project.log.count(": done, 20,000 examples") == 10 * len(CURVES)
    assert len(list(project.folder.glob("results/*/*/*/seed-*/metrics-20000.parquet"))) == 10 * len(CURVES)
    assert (project.folder / FIGURE).stat().st_size > 500
    assert project.stale(FIGURE) == set()


def test_snakemake_looks_for_what_to_start_when_a_job_has_ended_and_not_all_the_time(project):
    ended = project.log.count("Finished jobid")
    assert ended == len(CURVES) + 2
    assert 0 < project.log.count("Ready jobs: ") <= ended + 1


def test_more_seeds_run_and_those_that_are_there_do_not(project):
    project.edit("config/scales/smoke.yaml", "ed2_cbp: {seeds: 3", "ed2_cbp: {seeds: 12")
    assert project.stale(FIGURE) == {f"{curve} seed 10-19" for curve in CURVES} | AFTER
    project.edit("config/scales/smoke.yaml", "ed2_cbp: {seeds: 12", "ed2_cbp: {seeds: 3")


def test_one_key_of_one_cfg_makes_that_configs_runs_stale(project):
    cfg = "lop/slowly_changing_regression/cfg/sgd/bp/linear.yml"
    project.edit(cfg, "beta: 0.7", "beta: 0.8")
    assert project.stale(FIGURE) == {f"{BP}/linear step_size=0.01 seed 0-9"} | AFTER
    project.edit(cfg, "beta: 0.8", "beta: 0.7")
    assert project.stale(FIGURE) == set()


def test_code_of_reinforcement_learning_does_not_matter(project):
    project.append("lop/algos/rl/ppo.py", "\nNOTHING = 0\n")
    project.append("lop/rl/run_ppo.py", "\nNOTHING = 0\n")
    assert project.stale(FIGURE) == set()
    project.append("lop/online/kernel.py", "\nNOTHING = 0\n")
    assert project.stale(FIGURE) == {f"{curve} seed 0-9" for curve in CURVES} | AFTER
    project.edit("lop/online/kernel.py", "\nNOTHING = 0\n", "")


def test_a_lost_seed_comes_back_and_the_others_are_not_trained_again(project):
    lost = next(project.folder.glob("results/*/*/*/seed-7/metrics-20000.parquet"))
    content = lost.read_bytes()
    lost.unlink()
    log = project.build(str(lost.relative_to(project.folder)))
    assert log.count(": already done") == 9
    assert lost.read_bytes() == content  # from its checkpoint
