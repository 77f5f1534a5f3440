"""A run in its own process resumes exactly after it is killed or asked to stop.

The tests of each problem check that its checkpoints contain its complete state (tests/interrupted.py).
"""

import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import faults
import pyarrow.parquet as pq
import pytest
from scripts import command, metrics_file, run, started
from short_runs import RUNS

from lop.common.locks import NAME as LOCK
from lop.rl import run_ppo
from lop.runs.checkpoint import read
from lop.runs.metrics import read_about
from lop.runs.process import EXIT_INTERRUPTED

LONG = 100_000  # steps, about half a minute; no test waits for such a run to end
SMALL = ["--bs", "256", "--n_slices", "4", "--h_dim", "[32, 32]", "--mt", "20", "--rr", "0.01"]


def arguments(results, n_steps, *more):
    return ["-c", "cfg/ant/cbp.yml", "-s", 1, "--results", results, *SMALL, "--n_steps", n_steps, *more]


def test_a_run_killed_at_random_points_ends_like_an_uninterrupted_one(tmp_path):
    rng = random.Random(0)
    for moment in ("starting", "after a save", "saving"):
        before = last_save(tmp_path)
        with started(run_ppo, *arguments(tmp_path, LONG, "--checkpoint-every", 0.05)) as process:
            wait_until(process, holds_the_lock, process, tmp_path)
            if moment != "starting":
                wait_until(process, saved_since, before, tmp_path)
                time.sleep(rng.uniform(0, 0.3))
            if moment == "saving":
                wait_until(process, is_saving, tmp_path)
            process.kill()
            assert process.wait() == -signal.SIGKILL
    about = ends_like_an_uninterrupted_run(tmp_path)
    assert about["resumed"] >= 2
    assert not is_saving(tmp_path)


def test_a_run_asked_to_stop_saves_and_ends_with_status_75(tmp_path):
    with started(run_ppo, *arguments(tmp_path, LONG, "--progress-every", 0.001)) as process:
        wait_for_progress(process.stderr)
        process.send_signal(signal.SIGTERM)
        assert process.wait() == EXIT_INTERRUPTED == 75
    assert not list(tmp_path.glob("**/metrics-*.parquet"))
    about = ends_like_an_uninterrupted_run(tmp_path)
    assert about["resumed"] == 1


def test_a_run_saves_and_stops_when_its_parent_is_killed(tmp_path):
    """A killed Snakemake leaves no run behind that continues for days."""
    script = command(run_ppo, *arguments(tmp_path, LONG, "--progress-every", 0.001, "--die-with-parent"))
    starter = f"import subprocess; subprocess.run({script})"
    with subprocess.Popen(
        [sys.executable, "-c", starter], cwd=run_ppo.PROBLEM.folder, stderr=subprocess.PIPE, text=True
    ) as parent:
        wait_for_progress(parent.stderr)
        parent.kill()
        parent.stderr.read()  # returns when the run has closed its end of the pipe
    assert last_save(tmp_path)
    assert not list(tmp_path.glob("**/metrics-*.parquet"))


@pytest.mark.slow
@pytest.mark.parametrize("short_run", [name for name in RUNS if "," not in name], indirect=True)
def test_a_run_killed_at_any_time_10_times(short_run, python, tmp_path, record_property):
    script, arguments = short_run

    def start(name):
        given = {"folder": tmp_path / name, "script": script.__name__}
        given["arguments"] = [*arguments, "--checkpoint-every", 0.001]
        return subprocess.Popen(
            faults.command(python, "run", given), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    assert start("uninterrupted").wait() == 0
    began = time.monotonic()
    assert start("timed").wait() == 0
    duration, rng, kills, finished = time.monotonic() - began, random.Random(0), 0, 0
    while kills < 10:
        with start(f"killed {finished}") as process:
            with suppress(subprocess.TimeoutExpired):
                process.wait(rng.uniform(0, duration))
            process.kill()
        if process.returncode == 0:
            finished += 1
        else:
            assert process.returncode == -signal.SIGKILL
            kills += 1
    assert start(f"killed {finished}").wait() == 0
    expected = pq.read_table(metrics_file(tmp_path / "uninterrupted")).replace_schema_metadata(None)
    for folder in tmp_path.glob("killed *[0-9]"):
        assert pq.read_table(metrics_file(folder)).replace_schema_metadata(None).equals(expected), folder
    record_property("faults", kills)


def ends_like_an_uninterrupted_run(results):
    """Continue a run from its last checkpoint, compare it with an uninterrupted one, and return its metadata."""
    n_steps = read(checkpoint(results))["state"]["run"]["step"] + 600
    run(run_ppo, *arguments(results, n_steps))
    run(run_ppo, *arguments(results / "uninterrupted", n_steps))
    continued, uninterrupted = metrics_file(results, 1), metrics_file(results / "uninterrupted", 1)
    assert pq.read_table(continued).equals(pq.read_table(uninterrupted))
    assert read_about(uninterrupted)["resumed"] == 0
    return read_about(continued)


def wait_for_progress(errors):
    """Wait for a progress line, which shows that training has begun."""
    assert any(line.startswith("rl/ant/cbp") for line in errors)


def wait_until(process, condition, *arguments):
    """Wait until a condition holds; fail if the process ends first."""
    while not condition(*arguments):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.0001)


def holds_the_lock(process, results):
    return any(path.read_text().startswith(f"{process.pid} ") for path in results.glob(f"rl/*/*/*/{LOCK}"))


def saved_since(before, results):
    return last_save(results) > before


def is_saving(results):
    """Return whether a checkpoint is being written, or was when the run was killed: its temporary file exists."""
    return any(results.glob("rl/*/*/*/.checkpoint.pt.*.tmp"))


def checkpoint(results):
    return next(results.glob("rl/*/*/*/checkpoint.pt"), None)


def last_save(results):
    """Return the time of the last save in nanoseconds; 0 if there is none."""
    path = checkpoint(results)
    return path.stat().st_mtime_ns if path else 0
