"""A killed Snakemake, run by the plain interpreter."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from project import FIGURE, Project

from lop.runs.metrics import read_about

DEADLINE = 120  # seconds after which waiting fails


def wait_until(condition):
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def processes_in(folder: Path) -> list[Path]:
    """Return the processes whose working directory is this folder or below it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append(process)
    return found


@pytest.mark.slow
def test_a_killed_snakemake_loses_little_and_leaves_nothing_behind(built, tmp_path):
    """Snakemake is killed during the second run of a job."""
    project = Project(tmp_path / "project", built)
    project.edit("config/config.yaml", "checkpoint_every: 60", "checkpoint_every: 0.3")
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    files = [project.metrics("ant/l2", seed) for seed in (0, 1)]

    def written(name: str) -> set[Path]:
        return {file.parent for file in files if file.with_name(name).exists()}

    running = subprocess.Popen(
        project.command(FIGURE, "--cores", "1"),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: written("metrics-4096.parquet"))
    wait_until(lambda: written("checkpoint.pt") - written("metrics-4096.parquet"))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    wait_until(lambda: not processes_in(project.folder))  # the run saves and stops
    (finished,) = (file for file in files if file.exists())
    before = finished.read_bytes()  # including the time at which the run ended
    project.build(*(str(file.relative_to(project.folder)) for file in files))
    (other,) = (file for file in files if file != finished)
    assert finished.read_bytes() == before
    assert read_about(other)["resumed"] == 1
