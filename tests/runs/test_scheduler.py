"""The time limit of a SLURM job: when a run saves, and how its job is requeued."""

import os
import time
from datetime import datetime

import pytest
from refusals import names
from toy import toy_run, walk

from lop.runs import checkpoint
from lop.runs.process import Interrupted
from lop.runs.scheduler import TimeLimit


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Return a function that installs a SLURM program which prints a given text and records its command lines."""

    def answer(name: str, text: str, code: int = 0) -> None:
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho \"$0 $@\" >> {tmp_path}/asked\necho '{text}'\nexit {code}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    for name in ("SLURM_JOB_END_TIME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    answer.asked = tmp_path / "asked"
    return answer


def test_there_is_no_limit_without_a_scheduler(monkeypatch):
    for name in ("SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.delenv(name, raising=False)
    assert not TimeLimit().is_near(1e9)


@pytest.mark.parametrize("output", ["NONE", "N/A", ""])
def test_job_can_have_no_limit(slurm, output):
    slurm("squeue", output)
    assert TimeLimit().end is None
    assert not TimeLimit().is_near(1e9)


def test_end_is_read_from_squeue(slurm):
    end = datetime.fromtimestamp(time.time() + 1_000).replace(microsecond=0)
    slurm("squeue", end.isoformat())
    assert TimeLimit().end == end.timestamp()
    assert "-j 17" in slurm.asked.read_text()


def test_end_is_read_from_the_environment_if_set(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "2000000000")
    assert TimeLimit().end == 2_000_000_000
    assert not slurm.asked.exists()


def test_limit_is_near_a_minute_and_two_laps_before_the_end(slurm, monkeypatch):
    now = time.time()
    monkeypatch.setenv("SLURM_JOB_END_TIME", f"{now + 1_000:.0f}")
    limit = TimeLimit()
    for ahead, lap, near in [(939, 0.1, False), (941, 0.1, True), (730, 100, False), (745, 100, True)]:
        monkeypatch.setattr(time, "time", lambda ahead=ahead: now + ahead)
        assert limit.is_near(lap) == near, (ahead, lap)


def test_margin_of_a_short_job_is_a_tenth_of_its_time(slurm, monkeypatch):
    now = time.time()
    monkeypatch.setenv("SLURM_JOB_END_TIME", f"{now + 100:.0f}")
    limit = TimeLimit()
    monkeypatch.setattr(time, "time", lambda: now + 85)
    assert not limit.is_near(0.1)
    monkeypatch.setattr(time, "time", lambda: now + 92)
    assert limit.is_near(0.1)


def test_job_is_requeued_by_its_number(slurm, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "2000000000")
    slurm("scontrol", "")
    TimeLimit().put_back()
    assert slurm.asked.read_text().endswith("requeue 17\n")
    slurm("scontrol", "", 1)
    TimeLimit().put_back()
    names(capsys.readouterr().err.strip(), "17", "not requeued")
    monkeypatch.setenv("PATH", "")  # without SLURM's programs
    TimeLimit().put_back()
    names(capsys.readouterr().err.strip(), "17", "not requeued", "scontrol")


def test_run_near_its_limit_saves_and_requeues_its_job(slurm, tmp_path, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", f"{time.time() - 1:.0f}")
    slurm("scontrol", "")
    run = toy_run(tmp_path / "results")
    with pytest.raises(Interrupted):
        run.execute(walk)
    assert slurm.asked.read_text().splitlines() == [f"{tmp_path}/scontrol requeue 17"]
    assert 0 < run.step == checkpoint.load(run.checkpoint, run.spec.origin)["run"]["step"] < 500


def test_array_task_requeues_only_itself(slurm, monkeypatch):
    """The last task of an array has the same job number as the array."""
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    slurm("squeue", "2030-01-01T00:00:00")
    slurm("scontrol", "")
    TimeLimit().put_back()
    asked = slurm.asked.read_text().splitlines()
    assert [line.partition(" ")[2] for line in asked] == ["-h -j 17_0 -o %e", "requeue 17_0"]
