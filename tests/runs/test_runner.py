"""Runs are resumed exactly, kept apart and never repeated."""

import errno
import fcntl
import io
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pyarrow.parquet as pq
import pytest
import torch
from refusals import refusal
from threadpoolctl import threadpool_info
from toy import spec, toy_run, walk

from lop.common import locks
from lop.common.errors import InputError
from lop.common.locks import is_locked, locked
from lop.runs import checkpoint, provenance
from lop.runs.metrics import read_about
from lop.runs.process import EXIT_INTERRUPTED, Interrupted
from lop.runs.provenance import changed_since
from lop.runs.runner import Runner


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
    """Make one attempt; return the run if it finishes, otherwise None."""
    run = toy_run(results, **options)
    try:
        run.execute(lambda run: walk(run, at_step))
    except (Interrupted, PowerCut):
        return None
    return run


@pytest.mark.parametrize("steps", [(0,), (1,), (499,), (100, 101, 350)])
def test_run_asked_to_stop_saves_and_resumes_exactly(tmp_path, uninterrupted, steps):
    results, attempts = tmp_path / "results", 0
    stop = interrupt_at(*steps, how=ask_to_stop)
    while (run := train(results, stop)) is None:
        attempts += 1
    assert attempts == len([s for s in steps if s < 499])  # a run asked to stop in its last step finishes
    assert table(run).equals(uninterrupted)
    assert read_about(run.output)["resumed"] == attempts


def test_run_resumes_from_the_last_checkpoint_after_a_power_cut(tmp_path, uninterrupted):
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


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    folder = toy_run(tmp_path).folder
    folder.mkdir(parents=True)
    (folder / ".checkpoint.pt.123.tmp").write_bytes(b"half")
    train(tmp_path)
    assert not list(folder.glob(".*.tmp"))


def test_run_uses_one_thread(tmp_path):
    seen = set()
    train(tmp_path, lambda step, run: seen.update(pool["num_threads"] for pool in threadpool_info()), n=1)
    assert seen == {1}


def test_results_do_not_depend_on_the_number_of_checkpoints(tmp_path, uninterrupted):
    run = train(tmp_path, lambda step, run: run.save() if step % 13 == 0 else None)
    assert table(run).equals(uninterrupted)


def test_cudnn_is_deterministic_during_a_run(tmp_path):
    seen = set()
    train(tmp_path, lambda step, run: seen.add(torch.backends.cudnn.deterministic))
    assert seen == {True}
    assert not torch.backends.cudnn.deterministic


def test_interrupted_run_exits_with_status_75():
    assert Interrupted().code == EXIT_INTERRUPTED == 75


def no_step(step, run):
    raise AssertionError("trained again")


def test_longer_run_continues_and_shorter_run_is_cut_from_it(tmp_path):
    train(tmp_path, n=200)
    steps = []
    longer = train(tmp_path, lambda step, run: steps.append(step), n=300)
    assert steps[0] == 200
    assert table(longer).equals(table(train(tmp_path / "alone", n=300)))
    shorter = train(tmp_path, no_step, n=100)
    assert table(shorter).equals(table(train(tmp_path / "short", n=100)))
    train(tmp_path, lambda step, run: steps.append(step), n=301)
    assert steps[-1] == 300
    assert {path.name for path in shorter.folder.glob("metrics*")} == {
        f"metrics-{n}.parquet" for n in (100, 200, 300, 301)
    }


def test_cut_run_has_its_own_times(tmp_path):
    def slow_after_100(step, run):
        if step == 100:
            run.save()
        if step >= 100:
            time.sleep(0.002)

    longer = read_about(train(tmp_path, slow_after_100, n=200).output)
    shorter = read_about(train(tmp_path, no_step, n=100).output)
    half = read_about(train(tmp_path, no_step, n=50).output)
    assert (shorter["horizon"], shorter["started"]) == (100, longer["started"])
    assert longer["seconds"] > 0.2 > shorter["seconds"] > half["seconds"] > 0
    assert half["seconds"] == pytest.approx(shorter["seconds"] / 2)
    assert half["ended"] <= shorter["ended"] <= longer["ended"]


def test_cut_run_counts_only_the_resumptions_before_its_end(tmp_path):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    assert read_about(train(tmp_path).output)["resumed"] == 1
    assert read_about(train(tmp_path, no_step, n=100).output)["resumed"] == 0
    assert read_about(train(tmp_path, no_step, n=400).output)["resumed"] == 1


def test_run_records_the_versions_of_its_earlier_parts(tmp_path, monkeypatch):
    monkeypatch.setattr("lop.runs.provenance.versions", lambda: {"torch": "0.1"})
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    monkeypatch.undo()
    whole, shorter = (read_about(train(tmp_path, n=n).output) for n in (500, 100))
    assert [(part["from"], part["versions"]) for part in whole["earlier"]] == [(0, {"torch": "0.1"})]
    assert changed_since(whole)["torch"] == ("0.1", torch.__version__)
    assert (shorter["earlier"], shorter["versions"]) == ([], {"torch": "0.1"})


@pytest.mark.parametrize("text", [None, "CPU implementer : 0x41\n"], ids=["macOS", "ARM"])
def test_processor_without_a_model_name_is_named_by_python(text, tmp_path, monkeypatch):
    """There is no /proc/cpuinfo, or it has no such line."""
    if text:
        (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(provenance, "Path", lambda path: tmp_path / "cpuinfo")
    monkeypatch.setattr(provenance, "_cpuinfo", provenance._cpuinfo.__wrapped__)  # without its cache
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    machine = provenance.machine.__wrapped__()
    assert (machine["processor"], machine["features"]) == ("arm", "")


def test_finished_run_is_not_repeated(tmp_path):
    before = train(tmp_path).output.stat()
    after = train(tmp_path, no_step).output.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_deleted_result_is_restored_from_the_checkpoint(tmp_path, uninterrupted):
    train(tmp_path).output.unlink()
    assert table(train(tmp_path, no_step)).equals(uninterrupted)


@pytest.mark.parametrize("changed", [{"size": 2.0}, {"inputs": [1, 2]}, {"seed": 1}], ids=str)
def test_changed_run_is_kept_apart_and_undoing_the_change_resumes_the_original(tmp_path, changed):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    assert train(tmp_path, **changed).step == 500
    steps = []
    train(tmp_path, lambda step, run: steps.append(step))
    assert steps[0] == 251
    train(tmp_path, no_step)
    train(tmp_path, no_step, **changed)


def test_cosmetic_keys_do_not_start_a_new_run(tmp_path):
    train(tmp_path)
    assert train(tmp_path, no_step, label="other") is not None


def test_state_that_cannot_be_saved_is_reported_before_the_first_step(tmp_path):
    class Odd:
        def state_dict(self):
            return {"seen": {1, 2}}

    def train(run):
        run.track(callback=Odd())
        assert not list(run.steps(10))

    with refusal("toy/walk seed 0", "callback", "builtins.set"):
        Runner(spec(), tmp_path).execute(train)


def test_types_of_device_share_no_files(tmp_path, other_device):
    on_cpu, elsewhere = (toy_run(tmp_path, device=device) for device in ("cpu", other_device))
    on_cpu.execute(walk)
    assert not elsewhere.folder.exists()
    elsewhere.execute(walk)
    assert elsewhere.folder.parent != on_cpu.folder.parent
    kinds = [read_about(run.output)["origin"]["device"] for run in (on_cpu, elsewhere)]
    assert kinds == ["cpu", torch.device(other_device).type]
    assert spec(device="cuda:1").path == spec(device="cuda").path != spec().path


@pytest.mark.parametrize(
    ("change", "message"),
    [({"size": 2.0}, "size was 1.0, is 2.0"), ({"seed": 1}, "seed was 0, is 1"), ({"device": "cuda"}, "device was")],
)
def test_checkpoint_of_another_run_is_rejected_and_kept(tmp_path, change, message):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    content = toy_run(tmp_path).checkpoint.read_bytes()
    with pytest.raises(InputError, match=re.escape(message)):
        checkpoint.load(toy_run(tmp_path).checkpoint, spec(**change).origin)
    assert toy_run(tmp_path).checkpoint.read_bytes() == content


def test_checkpoint_of_other_code_is_rejected(tmp_path):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    origin = spec().origin
    other = origin | {"code": {**origin["code"], "lop.plasticity": "changed"}}
    with pytest.raises(InputError, match=r"code differs in lop\.plasticity"):
        checkpoint.load(toy_run(tmp_path).checkpoint, other)


def test_metrics_of_another_run_are_rejected(tmp_path):
    first, other = train(tmp_path), toy_run(tmp_path, size=2.0)
    other.folder.mkdir(parents=True)
    shutil.copy(first.output, other.output)
    with pytest.raises(InputError, match=r"size was 1\.0, is 2\.0"):
        other.execute(walk)


def test_identity_is_stored_beside_the_folders_of_seeds(tmp_path):
    run = train(tmp_path)
    path = run.folder.parent / "identity.json"
    assert json.loads(path.read_text()) == spec(seed=3).identity
    path.unlink()
    train(tmp_path, no_step)
    assert json.loads(path.read_text()) == spec().identity


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: flipped(b)], ids=["half", "empty", "one bit"]
)
def test_damaged_checkpoint_is_rejected(tmp_path, damage):
    assert train(tmp_path, interrupt_at(250, how=ask_to_stop)) is None
    path = toy_run(tmp_path).checkpoint
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.pt: checkpoint truncated or damaged") as refusal:
        train(tmp_path)
    assert "\n" not in str(refusal.value)
    assert path.exists()


def flipped(content: bytes) -> bytes:
    """Flip one bit in the middle of the largest tensor."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        largest = max(archive.infolist(), key=lambda member: member.file_size)
    position = largest.header_offset + largest.file_size // 2
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


def test_damaged_result_is_rejected(tmp_path, uninterrupted):
    run = train(tmp_path)
    content = run.output.read_bytes()
    run.output.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"metrics-500\.parquet: truncated or damaged"):
        train(tmp_path)
    run.output.unlink()
    assert table(train(tmp_path, no_step)).equals(uninterrupted)


def test_files_of_another_format_are_rejected(tmp_path, monkeypatch):
    monkeypatch.setattr("lop.runs.metrics.FORMAT", 0)
    run = train(tmp_path)
    monkeypatch.undo()
    with pytest.raises(InputError, match="metrics format: found 0, allowed: 1"):
        read_about(run.output)
    monkeypatch.setattr("lop.runs.checkpoint.FORMAT", 3)
    with pytest.raises(InputError, match="checkpoint format: found 2, allowed: 3"):
        checkpoint.load(run.checkpoint, spec().origin)


def test_second_process_waits_for_the_lock_of_the_first(tmp_path):
    script = (
        "import sys; from pathlib import Path; from lop.common.locks import locked\n"
        "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.readline()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    first = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], **pipes)
    assert first.stdout.readline() == "held\n"
    second = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], **pipes)
    assert str(first.pid) in second.stderr.readline()
    assert first.communicate("end\n")[1] == ""
    assert second.communicate("end\n") == ("held\n", "")
    assert (first.returncode, second.returncode) == (0, 0)


def test_run_waits_silently_while_another_process_inspects_its_lock(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "SILENT", 60.0)
    with locked(tmp_path):
        pass
    inspecting = os.open(tmp_path / ".lock", os.O_RDONLY)
    fcntl.flock(inspecting, fcntl.LOCK_SH)
    assert not is_locked(tmp_path)  # inspections do not disturb each other
    threading.Timer(0.1, os.close, [inspecting]).start()
    with locked(tmp_path):
        pass
    assert not capsys.readouterr().err


def test_lock_is_released_at_the_end_of_its_block(tmp_path):
    assert not is_locked(tmp_path)
    with locked(tmp_path):
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)


def failing(number):
    def fail(*arguments):
        raise OSError(number, os.strerror(number))

    return fail


def test_file_system_without_locks_gives_a_one_line_error(tmp_path, monkeypatch):
    monkeypatch.setattr("fcntl.flock", failing(errno.ENOSYS))
    with pytest.raises(InputError, match=r"\.lock") as refusal:
        train(tmp_path)
    assert "\n" not in str(refusal.value)


def test_folder_on_a_file_system_without_locks_counts_as_free(tmp_path, monkeypatch):
    with locked(tmp_path), monkeypatch.context() as patched:
        patched.setattr("fcntl.flock", failing(errno.ENOSYS))
        assert not is_locked(tmp_path)


def test_lock_of_another_user_is_noticed(tmp_path, monkeypatch):
    """The file of the lock can be read but not written."""

    def opened(path, flags, *mode):
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return really(path, flags, *mode)

    really = os.open
    with locked(tmp_path), monkeypatch.context() as patched:
        patched.setattr("os.open", opened)
        assert is_locked(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr("os.open", opened)
        assert not is_locked(tmp_path)


def test_holder_of_a_lock_is_unknown_until_it_has_signed_and_after_its_folder_is_removed(tmp_path):
    with locked(tmp_path):
        assert locks._holder(tmp_path / locks.NAME).startswith(f"{os.getpid()} on ")
    (tmp_path / locks.NAME).write_text("")
    assert locks._holder(tmp_path / locks.NAME) == "?"
    assert locks._holder(tmp_path / "removed" / locks.NAME) == "?"
