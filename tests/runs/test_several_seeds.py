"""Several seeds in one process give the same files as in separate processes, and one failing seed stops no other."""

import gc
import os
import signal
import subprocess
import weakref
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from interrupted import same
from refusals import names
from scripts import metrics_file, run
from short_runs import REGRESSION

from lop.common.errors import EXIT_BAD_INPUT, InputError
from lop.runs import checkpoint
from lop.runs.metrics import read_about
from lop.runs.process import EXIT_INTERRUPTED
from lop.runs.runner import Runner
from lop.slowly_changing_regression import run_regression


def stopping(seed, is_time):
    """Return a class of runs; that of `seed` receives SIGTERM in every step with `is_time(step, n, stride)`."""

    class Stopping(Runner):
        def steps(self, n, unit="steps", stride=1):
            for step in super().steps(n, unit, stride):
                if self.seed == seed and is_time(step, n, stride):
                    os.kill(os.getpid(), signal.SIGTERM)
                yield step

    return Stopping


def exit_status(script, *arguments):
    """Run a script that must exit early; return its exit status."""
    with pytest.raises(SystemExit) as ended:
        run(script, *arguments)
    return ended.value.code


def seeds_with(results, pattern):
    return sorted(int(path.parent.name.split("-")[1]) for path in results.glob(f"*/*/*/seed-*/{pattern}"))


def tracked(path):
    return checkpoint.read(path.with_name("checkpoint.pt"))["state"]["tracked"]


def test_seeds_of_one_process_match_those_of_separate_processes(short_run, tmp_path, python, monkeypatch):
    """The process of all seeds is stopped in the middle of the second one and started again."""
    script, selection = short_run
    together, separate = tmp_path / "together", tmp_path / "separate"
    monkeypatch.setattr("lop.runs.command_line.Runner", stopping(1, lambda step, n, stride: step >= n // 2))
    assert exit_status(script, *selection, "-s", "0-2", "--results", together) == EXIT_INTERRUPTED
    assert seeds_with(together, "metrics-*.parquet") == [0]
    assert seeds_with(together, "checkpoint.pt") == [0, 1]
    monkeypatch.undo()
    run(script, *selection, "-s", "0-2", "--results", together)
    for seed in (1, 2):
        command = [python, Path(script.__file__).name, *selection, "-s", seed, "--results", separate]
        subprocess.run(list(map(str, command)), cwd=script.PROBLEM.folder, check=True, capture_output=True)
        one, other = metrics_file(together, seed), metrics_file(separate, seed)
        assert one.relative_to(together) == other.relative_to(separate)
        assert pq.read_table(one).equals(pq.read_table(other))
        assert same(tracked(one), tracked(other))
        abouts = read_about(one), read_about(other)
        assert abouts[0]["origin"] == abouts[1]["origin"]
        assert [about["resumed"] for about in abouts] == [int(seed == 1), 0]


def test_nothing_of_a_seed_stays_in_memory_during_the_next(short_run, tmp_path, monkeypatch):
    """The first seed fails. An engine is compiled beforehand, since the compiler leaves cycles of references."""
    script, selection = short_run
    run(script, *selection, "-s", "3", "--results", tmp_path)
    seen, alive = [], []

    class Watched(Runner):
        def track(self, **objects):
            if not self._tracked:
                alive.append(sum(reference() is not None for reference in seen))
            for thing in objects.values():
                seen.append(weakref.ref(thing))
            super().track(**objects)

        def steps(self, n, unit="steps", stride=1):
            if self.seed == 0:
                raise InputError("damaged")
            yield from super().steps(n, unit, stride)

    monkeypatch.setattr("lop.runs.command_line.Runner", Watched)
    gc.collect()
    gc.disable()
    try:
        assert exit_status(script, *selection, "-s", "0-2", "--results", tmp_path) == EXIT_BAD_INPUT
    finally:
        gc.enable()
    assert alive == [0, 0, 0]


def damage(results, *seeds):
    """Damage the checkpoints of finished seeds and delete their metrics."""
    for seed in seeds:
        path = metrics_file(results, seed)
        path.unlink()
        path.with_name("checkpoint.pt").write_bytes(b"damaged")


def test_a_failing_seed_stops_no_other(tmp_path, capsys):
    selection = [*REGRESSION, "--results", tmp_path]
    run(run_regression, *selection, "-s", "0-3")
    before = {seed: pq.read_table(metrics_file(tmp_path, seed)) for seed in range(4)}
    damage(tmp_path, 0, 2)
    metrics_file(tmp_path, 3).unlink()
    capsys.readouterr()
    assert exit_status(run_regression, *selection, "-s", "0-4") == EXIT_BAD_INPUT
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 2
    for line, seed in zip(lines, (0, 2), strict=True):
        names(line, f"seed {seed}", f"seed-{seed}/checkpoint.pt")
    assert seeds_with(tmp_path, "metrics-*.parquet") == [1, 3, 4]
    assert all(pq.read_table(metrics_file(tmp_path, seed)).equals(before[seed]) for seed in (1, 3))


@pytest.mark.parametrize("is_time", [lambda step, n, stride: step == 0, lambda step, n, stride: step + stride >= n])
def test_a_signal_stops_all_seeds_even_after_a_failure(is_time, tmp_path, monkeypatch):
    """Also in the last step of a seed, which is then completed."""
    selection = [*REGRESSION, "--results", tmp_path]
    run(run_regression, *selection, "-s", 0)
    damage(tmp_path, 0)
    monkeypatch.setattr("lop.runs.command_line.Runner", stopping(1, is_time))
    assert exit_status(run_regression, *selection, "-s", "0-2") == EXIT_INTERRUPTED
    assert seeds_with(tmp_path, "checkpoint.pt") == [0, 1]
    run(run_regression, *selection, "-s", "1-2")
    assert seeds_with(tmp_path, "metrics-*.parquet") == [1, 2]


def test_a_run_that_is_completed_despite_a_signal_succeeds(tmp_path, monkeypatch):
    monkeypatch.setattr("lop.runs.command_line.Runner", stopping(1, lambda step, n, stride: step + stride >= n))
    run(run_regression, *REGRESSION, "--results", tmp_path, "-s", "0-1")
    assert seeds_with(tmp_path, "metrics-*.parquet") == [0, 1]
