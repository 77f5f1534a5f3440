"""Live curves contain each logged value once, also of runs that are interrupted, and never stop a run."""

import subprocess
import sys
import time
from collections import Counter

import pyarrow.parquet as pq
import pytest
from refusals import refusal
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
from toy import spec, toy_run, walk
from wandb.proto.wandb_internal_pb2 import Record

from lop.runs import tracking
from lop.runs.process import Interrupted
from lop.runs.runner import Runner

BLOCK, WHOLE, LAST = 32_768, 1, 4  # of LevelDB's log format


def tracked(results, service, n=500):
    return Runner(spec(n), results, checkpoint_every=1e-9, track=service)


def rows(run):
    """Return the logged values as a multiset of (name, step, float32 value)."""
    table = pq.read_table(run.output).to_pylist()
    names = [row["metric"] + ("" if row["layer"] is None else f"/layer {row['layer']}") for row in table]
    return Counter((name, row["step"], f"{row['value']:.5f}") for name, row in zip(names, table, strict=True))


def shown_by_tensorboard(results):
    events = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(str(results / "tensorboard")).Reload()
    return Counter(
        (tag, event.step, f"{event.value:.5f}")
        for run, kinds in events.Runs().items()
        for tag in kinds["scalars"]
        for event in events.Scalars(run, tag)
    )


def records(content):
    """Yield the records of a file in the log format of LevelDB, after a header of seven bytes."""
    place, parts = 7, b""
    while place + 7 <= len(content):
        if (rest := -place % BLOCK) and rest < 7:  # the end of a block is padded
            place += rest
        size, kind = int.from_bytes(content[place + 4 : place + 6], "little"), content[place + 6]
        parts += content[place + 7 : place + 7 + size]
        place += 7 + size
        if kind in (WHOLE, LAST):
            yield parts
            parts = b""


def kept_by_wandb(results):
    found = Counter()
    for path in results.glob("wandb/offline-run-*/*.wandb"):
        for content in records(path.read_bytes()):
            record = Record.FromString(content)
            items = {"/".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            step = items.pop("step", None)
            found += Counter(
                (name, int(step), f"{float(value):.5f}")
                for name, value in items.items()
                if step and not name.startswith("_")
            )
    return found


READERS = {"tensorboard": shown_by_tensorboard, "wandb": kept_by_wandb}


@pytest.fixture(autouse=True)
def _offline(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.mark.parametrize("service", READERS)
def test_a_curve_goes_on_after_an_interruption(service, tmp_path):
    def stop(step, run):
        if step == 123:
            run.save()
            raise Interrupted

    with pytest.raises(Interrupted):
        tracked(tmp_path, service).execute(lambda run: walk(run, stop))
    run = tracked(tmp_path, service)
    run.execute(walk)
    end = time.monotonic() + 20  # the process of W&B may write its file after the run has ended
    while READERS[service](tmp_path) != rows(run) and time.monotonic() < end:
        time.sleep(0.1)
    assert READERS[service](tmp_path) == rows(run)


def test_values_after_the_last_checkpoint_are_sent_once(tmp_path):
    def cut_power(step, run):
        if step == 200:
            run.save()
        if step == 333:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        Runner(spec(), tmp_path, track="tensorboard").execute(lambda run: walk(run, cut_power))
    assert max(step for _, step, _ in shown_by_tensorboard(tmp_path)) <= 200
    run = Runner(spec(), tmp_path, track="tensorboard")
    run.execute(walk)
    assert shown_by_tensorboard(tmp_path) == rows(run)


def test_tracking_does_not_change_the_results(tmp_path):
    plain, run = toy_run(tmp_path / "plain"), tracked(tmp_path / "tracked", "tensorboard")
    plain.execute(walk)
    run.execute(walk)
    assert pq.read_table(run.output).equals(pq.read_table(plain.output))


class Failing:
    """Service that fails at the second time it is used."""

    def __init__(self, spec, results):
        self.times = 0

    def send(self, rows):
        self.times += 1
        if self.times > 1:
            raise OSError("no space left\non device")

    def close(self):
        raise AssertionError("closed after a failure")


def test_a_failing_service_is_reported_once_and_does_not_stop_the_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(tracking.SERVICES, "failing", Failing)
    run = tracked(tmp_path, "failing")
    run.execute(walk)
    assert run.output.exists()
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "failing failed" in line)
    assert "no space left on device" in line


def test_a_service_that_cannot_start_does_not_stop_the_run(tmp_path, monkeypatch, capsys):
    def refuse(spec, results):
        raise ConnectionError("no network")

    monkeypatch.setitem(tracking.SERVICES, "failing", refuse)
    run = tracked(tmp_path, "failing")
    run.execute(walk)
    assert run.output.exists()
    assert "no network" in capsys.readouterr().err


def test_a_missing_package_is_named_with_the_extra_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with refusal("wandb", "lop[tracking]"):
        tracked(tmp_path, "wandb").execute(walk)


def test_the_number_of_sent_values_may_be_damaged(tmp_path, capsys):
    run = tracked(tmp_path, "tensorboard")
    run.folder.mkdir(parents=True)
    (run.folder / tracking.SENT).write_text("{")
    run.execute(walk)
    assert run.output.exists()
    assert tracking.SENT in capsys.readouterr().err


def test_the_option_of_a_training_script(tmp_path):
    command = (
        *(sys.executable, "-m", "lop.slowly_changing_regression.run_regression", "-c"),
        *("lop/slowly_changing_regression/cfg/sgd/bp/relu.yml", "--setting", "step_size=0.01", "--scale", "smoke"),
        *("--results", str(tmp_path), "--track", "tensorboard"),
    )
    subprocess.run(command, check=True, capture_output=True)
    assert {name for name, _, _ in shown_by_tensorboard(tmp_path)} == {"squared_error"}
