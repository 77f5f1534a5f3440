"""Runs are resumed exactly, never mixed, and never made twice."""

import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from functools import partial

import pyarrow.parquet as pq
import pytest
import torch
from toy import spec, toy_run, walk

from lop.common.errors import InputError
from lop.runs.checkpoint import OtherRun
from lop.runs.metrics import read_about
from lop.runs.runner import EXIT_INTERRUPTED, Interrupted


class PowerCut(Exception):
    pass


def table(run):
    return pq.read_table(run.output)


def interrupt_at(*steps, how):
    waiting = list(steps)

    def at_step(step, run):
        if waiting and step == waiting[0]:
            waiting.pop(0)
            how(run)

    return at_step


def ask_to_stop(run):
    os.kill(os.getpid(), signal.SIGTERM)


def cut_power(run):
    raise PowerCut


@pytest.fixture
def uninterrupted(tmp_path):
    run = toy_run(tmp_path / "uninterrupted")
    run.execute(walk)
    return table(run)


def train(results, at_step=lambda step, run: None, **options):
    """One attempt; True if it got to the end."""
    run = toy_run(results, **options)
    try:
        run.execute(lambda run: walk(run, at_step))
    except (Interrupted, PowerCut):
        return None
    return run


@pytest.mark.parametrize("steps", [(0,), (1,), (499,), (100, 101, 350)])
def test_asked_to_stop_it_saves_and_goes_on_exactly(tmp_path, uninterrupted, steps):
    results, attempts = tmp_path / "results", 0
    stop = interrupt_at(*steps, how=ask_to_stop)
    while (run := train(results, stop)) is None:
        attempts += 1
    assert attempts == len([s for s in steps if s < 499])  # asked in the last step, it ends before it looks
    assert table(run).equals(uninterrupted)
    assert read_about(run.output)["resumed"] == attempts


def test_after_a_power_cut_it_goes_on_from_the_last_checkpoint(tmp_path, uninterrupted):
    def save_and_cut(step, run):
        if step == 150:
            run.save()
        if step == 300:
            raise PowerCut

    assert train(tmp_path, save_and_cut) is None
    steps = []
    run = train(tmp_path, lambda step, run: steps.append(step))
    assert steps[0] == 150
    assert table(run).equals(uninterrupted)


def test_leftovers_of_a_kill_are_removed(tmp_path):
    folder = toy_run(tmp_path).folder
    folder.mkdir(parents=True)
    (folder / ".checkpoint.pt.123.tmp").write_bytes(b"half")
    train(tmp_path)
    assert not list(folder.glob(".*.tmp"))


def test_saving_more_or_less_often_changes_nothing(tmp_path, uninterrupted):
    run = train(tmp_path, lambda step, run: run.save() if step % 13 == 0 else None)
    assert table(run).equals(uninterrupted)


def test_a_gpus_kernels_are_deterministic_while_it_runs(tmp_path):
    seen = set()
    train(tmp_path, lambda step, run: seen.add(torch.backends.cudnn.deterministic))
    assert seen == {True}
    assert not torch.backends.cudnn.deterministic


def test_exit_status_for_schedulers():
    assert Interrupted().code == EXIT_INTERRUPTED == 75


def test_a_longer_run_goes_on_and_a_shorter_one_is_its_beginning(tmp_path):
    train(tmp_path, n=200)
    steps = []
    longer = train(tmp_path, lambda step, run: steps.append(step), n=300)
    assert steps[0] == 200
    alone = train(tmp_path / "alone", n=300)
    assert table(longer).equals(table(alone))

    def no_step(step, run):
        raise AssertionError("trained again")

    shorter = train(tmp_path, no_step, n=100)
    assert table(shorter).equals(table(train(tmp_path / "short", n=100)))
    assert read_about(shorter.output)["horizon"] == 100
    assert table(train(tmp_path, no_step, n=300)).equals(table(alone))
    train(tmp_path, lambda step, run: steps.append(step), n=301)
    assert steps[-1] == 300


def test_a_finished_run_is_not_made_again(tmp_path, capsys):
    train(tmp_path)
    never = interrupt_at(0, how=cut_power)
    assert train(tmp_path, never) is not None
    assert "already done" in capsys.readouterr().err


def test_results_come_back_when_a_change_is_undone(tmp_path, uninterrupted):
    first = train(tmp_path)
    train(tmp_path, size=2.0, fresh=True)
    assert not table(first).equals(uninterrupted)
    before = first.output.stat().st_mtime_ns
    again = train(tmp_path, interrupt_at(0, how=cut_power), fresh=True)
    assert table(again).equals(uninterrupted)
    assert again.output.stat().st_mtime_ns > before  # what is made from it is stale


def test_results_come_back_when_snakemake_has_deleted_them(tmp_path, uninterrupted):
    first = train(tmp_path)
    first.output.unlink()
    assert table(train(tmp_path, interrupt_at(0, how=cut_power))).equals(uninterrupted)


def test_an_interrupted_run_goes_on_when_a_change_is_undone(tmp_path, uninterrupted):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    assert train(tmp_path, size=2.0, fresh=True) is not None
    steps = []
    assert table(train(tmp_path, lambda step, run: steps.append(step), fresh=True)).equals(uninterrupted)
    assert steps[0] == 251


def test_a_label_changes_nothing(tmp_path):
    train(tmp_path)
    assert train(tmp_path, interrupt_at(0, how=cut_power), label="other") is not None


def test_another_runs_checkpoint_is_refused_and_nothing_is_lost(tmp_path):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    content = toy_run(tmp_path).checkpoint.read_bytes()
    with pytest.raises(OtherRun, match=r"size was 1.0, is 2.0") as refusal:
        train(tmp_path, size=2.0)
    assert "\n" not in str(refusal.value)
    assert toy_run(tmp_path).checkpoint.read_bytes() == content


@pytest.mark.parametrize(
    ("taken", "message"),
    [
        ([1, 2, 3], None),
        ([1], None),
        ([1, 3, 4], "number 2 of sizes was 2, is 3; undo"),
        ([], "sizes were given; undo"),
    ],
)
@pytest.mark.parametrize("fresh", [True, False])
def test_what_is_taken_in_turn_may_grow_but_not_change(tmp_path, taken, message, fresh):
    train(tmp_path, n=200, taken=[1, 2])
    steps = []
    again = partial(train, tmp_path, lambda step, run: steps.append(step), n=300, taken=taken, fresh=fresh)
    if message and not fresh:
        with pytest.raises(OtherRun, match=message):
            again()
    else:
        again()
        assert steps[0] == (0 if message else 200)


def test_a_run_that_was_set_aside_goes_on_with_more_to_take(tmp_path):
    train(tmp_path, n=200, taken=[1, 2])
    train(tmp_path, n=200, taken=[5], fresh=True)
    steps = []
    train(tmp_path, lambda step, run: steps.append(step), n=300, taken=[1, 2, 3, 4], fresh=True)
    assert steps[0] == 200


def test_a_checkpoint_of_other_code_is_refused(tmp_path, monkeypatch):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    changed = {**spec().sources, "lop.plasticity": "changed"}
    monkeypatch.setattr("lop.runs.spec._sources", lambda *entries: changed)
    with pytest.raises(OtherRun, match=r"code changed in lop\.plasticity"):
        train(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: flipped(b)], ids=["half", "empty", "one bit"]
)
def test_a_damaged_checkpoint_is_refused(tmp_path, damage):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    path = toy_run(tmp_path).checkpoint
    path.write_bytes(damage(path.read_bytes()))
    for fresh in (False, True):
        with pytest.raises(InputError, match=r"checkpoint\.pt: checkpoint truncated or damaged") as refusal:
            train(tmp_path, fresh=fresh)
        assert "\n" not in str(refusal.value)
    assert path.exists()


def flipped(content: bytes) -> bytes:
    """One bit less or more in the middle of the largest tensor."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    position = largest.header_offset + largest.file_size // 2
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def test_a_damaged_result_is_refused(tmp_path):
    run = train(tmp_path)
    content = run.output.read_bytes()
    run.output.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"metrics\.parquet: truncated or damaged"):
        train(tmp_path)
    run.output.unlink()
    assert table(train(tmp_path, interrupt_at(0, how=cut_power))).num_rows > 0


def test_a_damaged_store_is_mended_from_the_checkpoint(tmp_path, uninterrupted):
    run = train(tmp_path)
    run.output.unlink()
    run.store.metrics(run.spec).write_bytes(b"PAR1")
    assert table(train(tmp_path, interrupt_at(0, how=cut_power))).equals(uninterrupted)


def test_two_processes_share_no_run(tmp_path):
    script = (
        "import sys, time; from pathlib import Path; from lop.common.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); time.sleep(1.0)"
    )
    first = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert first.stdout.readline() == "held\n"
    start = time.monotonic()
    second = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert time.monotonic() - start > 1.0
    assert f"waiting for process {first.pid}" in second.stderr
    assert first.wait() == 0
