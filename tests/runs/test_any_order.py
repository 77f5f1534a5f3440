"""Whatever happens to runs in whatever order, they end with the same tables, or are refused in one line."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from faults import ERRORS, FAULTS, command, execute
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import floats, integers, sampled_from
from short_runs import REGRESSION

from lop.common.errors import EXIT_BAD_INPUT, InputError
from lop.runs.tables import read_table
from lop.slowly_changing_regression import run_regression

LENGTHS, STEP_SIZES = (1_000, 2_000, 4_000), (0.01, 0.02)
CENTURY = 100 * 365 * 86_400


class Runs(RuleBasedStateMachine):
    """One folder of results, in which runs of two settings and three lengths meet with all kinds of accidents."""

    def __init__(self, python: Path, folder: Path, counted: list[str]):
        super().__init__()
        self.python, self.folder, self.counted = python, folder, counted
        self.results, self.backup = folder / "results", folder / "backup"
        self.is_damaged = False
        for left in (self.results, self.backup):
            shutil.rmtree(left, ignore_errors=True)
        self.results.mkdir()

    @rule(length=sampled_from(LENGTHS), step_size=sampled_from(STEP_SIZES))
    def a_run_completes(self, length, step_size):
        """Check the table of a run. If damaged files are refused, remove them, as the message says, and try again."""
        for _ in range(20):
            status, output = self.call(length, step_size)
            if status == 0:
                (path,) = self.results.glob(f"*/*step_size={step_size}*/*/seed-0/metrics-{length}.parquet")
                try:
                    found = read_table(path)
                    break
                except InputError as error:
                    output = f"error: {error}"
            refused = self.refused_file(output)
            assert self.is_damaged, output
            assert refused.is_file(), output
            refused.unlink()
        assert found.replace_schema_metadata(None).equals(self.expected(length, step_size))

    @rule(length=sampled_from(LENGTHS), step_size=sampled_from(STEP_SIZES))
    def two_processes_race(self, length, step_size):
        calls = [self.given(length, step_size) for _ in range(2)]
        processes = [subprocess.Popen(command(self.python, "run", given), stderr=subprocess.PIPE) for given in calls]
        for process in processes:
            _, errors = process.communicate()
            assert b"Traceback" not in errors, errors
            assert process.returncode == 0 or self.is_damaged, errors
        self.count("races")

    @rule(length=sampled_from(LENGTHS), step_size=sampled_from(STEP_SIZES), number=integers(0, 80),
          fault=sampled_from(FAULTS), lasting=sampled_from((False, True)))  # fmt: skip
    def an_operation_fails(self, length, step_size, number, fault, lasting):
        """One operation fails, or all from then on, as on a disk that is full or mounted read-only after an error."""
        status, output = self.call(length, step_size, number=number, fault=fault, lasting=lasting)
        assert "Traceback" not in output, output
        assert status in (0, EXIT_BAD_INPUT) or fault not in ERRORS, output

    @rule(length=sampled_from(LENGTHS), limit=integers(5_000, 200_000))  # enough for the output
    def the_disk_fills_up(self, length, limit):
        status, output = self.call(length, 0.01, limit=limit)
        assert status in (0, EXIT_BAD_INPUT), output
        assert "Traceback" not in output, output

    @precondition(lambda self: self.files())
    @rule(which=floats(0, 1, exclude_max=True), where=floats(0, 1, exclude_max=True), bit=integers(0, 7))
    def a_bit_flips(self, which, where, bit):
        path = self.chosen(which)
        content = bytearray(path.read_bytes())
        if content:
            content[int(where * len(content))] ^= 1 << bit
            path.write_bytes(content)
            self.is_damaged = True
            self.count("bits")

    @precondition(lambda self: self.files())
    @rule(which=floats(0, 1, exclude_max=True), kept=floats(0, 1))
    def a_file_is_truncated(self, which, kept):
        path = self.chosen(which)
        os.truncate(path, int(kept * path.stat().st_size))
        self.is_damaged = True
        self.count("truncations")

    @precondition(lambda self: self.files())
    @rule(which=floats(0, 1, exclude_max=True))
    def a_file_is_deleted(self, which):
        self.chosen(which).unlink()
        self.count("deletions")

    @rule()
    def results_are_copied_away(self):
        shutil.rmtree(self.backup, ignore_errors=True)
        shutil.copytree(self.results, self.backup)

    @precondition(lambda self: self.backup.exists())
    @rule()
    def results_are_copied_back(self):
        """The copy may be older than what it replaces."""
        shutil.rmtree(self.results)
        shutil.copytree(self.backup, self.results)
        self.count("restored copies")

    @rule(seconds=integers(-CENTURY // 2, CENTURY))
    def the_clock_jumps(self, seconds):
        for path in self.files():
            time = path.stat().st_mtime + seconds
            os.utime(path, (time, time))
        self.count("jumps of the clock")

    def given(self, length, step_size, **more):
        arguments = [*REGRESSION, "--num_data_points", length, "--step_size", step_size, "--checkpoint-every", 0.001]
        return {"folder": str(self.results), "script": run_regression.__name__, "arguments": arguments, **more}

    def call(self, length, step_size, **fault):
        output = self.folder / "output"
        if fault:
            self.count("failed operations")
        status = execute(self.python, "run", self.given(length, step_size, **fault), output)
        return status, output.read_text()

    def expected(self, length, step_size):
        folder = self.folder / f"undisturbed-{length}-{step_size}"
        if not folder.exists():
            given = self.given(length, step_size) | {"folder": str(folder)}
            assert execute(self.python, "run", given, self.folder / "output") == 0
        (path,) = folder.rglob("metrics-*.parquet")
        return read_table(path).replace_schema_metadata(None)

    def refused_file(self, output):
        """Return the damaged file that the only line of an error names."""
        (line,) = (line for line in output.splitlines() if line.startswith("error: "))
        assert "Traceback" not in output, output
        return Path(line.removeprefix("error: ").split(": ")[0])

    def files(self):
        return sorted(path for path in self.results.rglob("*") if path.is_file())

    def chosen(self, which):
        files = self.files()
        return files[int(which * len(files))]

    def count(self, what):
        self.counted.append(what)


@pytest.mark.slow
def test_accidents_in_any_order(python, tmp_path, record_property):
    counted, examples = [], 500 if "TORTURE" in os.environ else 8
    run_state_machine_as_test(
        lambda: Runs(python, tmp_path, counted),
        settings=settings(
            max_examples=examples, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    record_property("faults", len(counted))
