"""On a one-node SLURM cluster: a figure built with the profile, and runs that are cancelled, preempted or timed out."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import JOBS, SEEDS_PER_JOB, Project
from slurm import Cluster, missing

from lop.runs.metrics import read_about

pytestmark = [
    pytest.mark.slow,
    pytest.mark.cluster,
    pytest.mark.skipif(bool(missing()), reason=f"needs {missing()}"),
]
PROFILE = (
    *("--profile", "workflow/profiles/slurm", "--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"),
    *("--default-resources", "mem_mb=500", "runtime=10", "slurm_partition=low", "--latency-wait", "10"),
)
LONGER = (
    "rl/*: {n_steps: 4_096}",
    "rl/*: {n_steps: 4_096}\n  rl/hopper/*: {n_steps: 40_000}",
)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose Hopper runs are long enough to be interrupted."""
    project = Project(tmp_path_factory.mktemp("project") / "project")
    project.edit("config/scales/smoke.yaml", *LONGER)
    return project


@pytest.fixture(scope="module")
def long(project):
    """The metrics file of the long run, the second of its job."""
    return project.paths("ed5a")["rl/hopper/std seed 1"]


@pytest.fixture(scope="module")
def uninterrupted(long, tmp_path_factory, python):
    """The metrics file of the same run, made without a cluster."""
    other = Project(tmp_path_factory.mktemp("other") / "project", python=python)
    other.edit("config/scales/smoke.yaml", *LONGER)
    other.build(long)
    return other.folder / long


class Build:
    """Snakemake in the background, submitting jobs to the cluster."""

    def __init__(self, project: Project, cluster: Cluster, *arguments: str):
        self.log = project.folder / "build.log"
        environment = cluster.environment | {"PYTHONPATH": str(project.folder)}
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                project.command(*arguments, *PROFILE, "--config", "scale=smoke", "checkpoint_every=1"),
                cwd=project.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip

    def ended(self, seconds: float = 240) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.terminate()
            raise AssertionError(self.text()) from None

    @property
    def submissions(self) -> int:
        return self.log.read_text().count("with SLURM jobid")

    def text(self, last: int = 6_000) -> str:
        return self.log.read_text()[-last:]


def until(is_so: Callable[[], object], build: Build, cluster: Cluster, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert build.process.poll() is None, build.text() + cluster.logs()
        assert time.monotonic() < end, build.text() + cluster.logs()
        time.sleep(0.2)


def is_saved(folder: Path) -> bool:
    return any(folder.glob("checkpoint*"))


@pytest.fixture
def fresh(project, long):
    """The project without the long run."""
    shutil.rmtree((project.folder / long).parent, ignore_errors=True)
    return project


def test_a_figure_is_built_with_the_profile(project, cluster):
    build = Build(project, cluster, "figures/fig4a.pdf")
    assert build.ended() == 0, build.text() + cluster.logs()
    assert (project.folder / "figures/fig4a.pdf").read_bytes().startswith(b"%PDF")
    assert build.submissions == len(JOBS)  # the table and the figure are made where Snakemake runs


def test_a_cancelled_job_resumes_when_requested_again(fresh, long, cluster, uninterrupted):
    build = Build(fresh, cluster, long, "--retries", "0")
    until(lambda: is_saved((fresh.folder / long).parent), build, cluster)
    cluster.run("scancel", *cluster.jobs())
    assert build.ended() != 0
    build = Build(fresh, cluster, long)
    assert build.ended() == 0, build.text() + cluster.logs()
    assert read_about(fresh.folder / long)["resumed"] == 1
    assert pq.read_table(fresh.folder / long).equals(pq.read_table(uninterrupted))


def preempt(cluster):
    cluster.run("srun", "-p", "high", "-c", "2", "-t", "1", "sleep", "1")


def take_the_node_down(cluster):
    cluster.run("scontrol", "update", "nodename=localhost", "state=down", "reason=test")
    while cluster.jobs():
        time.sleep(0.2)
    cluster.run("scontrol", "update", "nodename=localhost", "state=resume")


def kill_the_run(cluster):
    for process in cluster.processes():
        program = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        if b"lop.rl.run_ppo" in program:
            os.kill(process, signal.SIGKILL)
            return
    raise AssertionError("no run is in progress")


@pytest.mark.parametrize(("accident", "submissions"), [(preempt, 1), (take_the_node_down, 1), (kill_the_run, 2)])
def test_a_job_resumes_after_an_accident(accident, submissions, fresh, long, cluster, uninterrupted):
    """SLURM requeues preempted jobs and those of a failed node; Snakemake submits a failed job again."""
    build = Build(fresh, cluster, long)
    until(lambda: is_saved((fresh.folder / long).parent), build, cluster)
    accident(cluster)
    assert build.ended() == 0, build.text() + cluster.logs()
    assert build.submissions == submissions
    assert read_about(fresh.folder / long)["resumed"] == 1
    assert pq.read_table(fresh.folder / long).equals(pq.read_table(uninterrupted))


def test_timed_out_runs_requeue_themselves_and_resume(cluster, uninterrupted, tmp_path):
    """Two jobs, each with one seed, requeue themselves without failing; the second is compared."""
    steps = round(60 * read_about(uninterrupted)["steps_per_second"])  # of Hopper; Walker2d takes longer
    project, other = Project(tmp_path / "project"), Project(tmp_path / "other")
    for one in (project, other):
        one.edit("config/scales/smoke.yaml", "rl/*: {n_steps: 4_096}", f"rl/*: {{n_steps: {steps}}}")
        one.edit("config/scales/smoke.yaml", SEEDS_PER_JOB, "")
    longer = [project.paths("ed5a")[f"rl/walker/std seed {seed}"] for seed in (0, 1)]
    with ThreadPoolExecutor() as pool:
        whole = pool.submit(other.build, longer[1])
        build = Build(project, cluster, *longer, "--set-resources", "train_rl:runtime=1")
        assert build.ended(1200) == 0, build.text() + cluster.logs()
        whole.result()
    assert build.submissions == 2
    assert all(read_about(project.folder / run)["resumed"] >= 1 for run in longer)
    assert pq.read_table(project.folder / longer[1]).equals(pq.read_table(other.folder / longer[1]))
