"""A scheduler's time limit: when a run has to save, and what it asks for."""

import os
import time
from datetime import datetime

import pytest

from lop.runs.scheduler import TimeLimit


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Programs of SLURM's that tell what the test says, and write down what they are asked."""

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


@pytest.mark.parametrize("told", ["NONE", "N/A", ""])
def test_a_job_may_have_no_limit(slurm, told):
    slurm("squeue", told)
    assert TimeLimit().end is None
    assert not TimeLimit().is_near(1e9)


def test_the_end_is_what_squeue_tells(slurm):
    end = datetime.fromtimestamp(time.time() + 1_000).replace(microsecond=0)
    slurm("squeue", end.isoformat())
    assert TimeLimit().end == end.timestamp()
    assert "-j 17" in slurm.asked.read_text()


def test_newer_versions_tell_it_by_themselves(slurm, monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "2000000000")
    assert TimeLimit().end == 2_000_000_000
    assert not slurm.asked.exists()


def test_a_run_saves_a_minute_and_two_looks_before_the_end(slurm, monkeypatch):
    now = time.time()
    monkeypatch.setenv("SLURM_JOB_END_TIME", f"{now + 1_000:.0f}")
    limit = TimeLimit()
    for ahead, lap, near in [(939, 0.1, False), (941, 0.1, True), (730, 100, False), (745, 100, True)]:
        monkeypatch.setattr(time, "time", lambda ahead=ahead: now + ahead)
        assert limit.is_near(lap) == near, (ahead, lap)


def test_of_a_short_time_a_tenth_is_kept(slurm, monkeypatch):
    now = time.time()
    monkeypatch.setenv("SLURM_JOB_END_TIME", f"{now + 100:.0f}")
    limit = TimeLimit()
    monkeypatch.setattr(time, "time", lambda: now + 85)
    assert not limit.is_near(0.1)
    monkeypatch.setattr(time, "time", lambda: now + 92)
    assert limit.is_near(0.1)


def test_a_job_is_put_back_by_its_number(slurm, monkeypatch, capsys):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "2000000000")
    slurm("scontrol", "")
    TimeLimit().put_back()
    assert slurm.asked.read_text().endswith("requeue 17\n")
    slurm("scontrol", "", 1)
    TimeLimit().put_back()
    assert capsys.readouterr().err.startswith("job 17: not requeued")


def test_a_task_of_an_array_means_no_other(slurm, monkeypatch):
    """The last task of an array has the array's number as its own."""
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "17")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    slurm("squeue", "2030-01-01T00:00:00")
    slurm("scontrol", "")
    TimeLimit().put_back()
    asked = slurm.asked.read_text().splitlines()
    assert [line.partition(" ")[2] for line in asked] == ["-h -j 17_0 -o %e", "requeue 17_0"]
