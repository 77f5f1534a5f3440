"""Whichever operation on files fails, a command ends in one clear line, and the next call completes it exactly."""

import os
import signal

import pyarrow.parquet as pq
import pytest
from faults import ERRORS, cases, execute
from scripts import metrics_file
from short_runs import RUNS
from written import write_run

from lop.common.errors import EXIT_BAD_INPUT
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs
from lop.runs.spec import IDENTITY, Conditions

TORTURE = "TORTURE" in os.environ  # every operation with every fault, for hours: `make torture`
QUICK = ("--checkpoint-every", 0.001)  # several checkpoints even in a run of a fraction of a second


def each(some, many):
    """Parametrise a test with a problem and the number of faults: some for one problem; many for all, which is slow."""
    slow = [pytest.param(name, many, id=f"{name}-many", marks=pytest.mark.slow) for name in RUNS]
    fast = pytest.param("regression", some, id="regression-some")
    return pytest.mark.parametrize(("short_run", "most"), [fast, *slow], indirect=["short_run"])


def table_of(results):
    return pq.read_table(metrics_file(results)).replace_schema_metadata(None)


def leftovers(results):
    """Return temporary files. That of the identity may stay for a day, since runs of other seeds also write it."""
    return [path for path in results.rglob("*.tmp") if IDENTITY not in path.name]


def check_outcome(status, output, case):
    """A failed operation is reported in one line, unless the command can do without it."""
    assert "Traceback" not in output, f"{case}: {output}"
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert (status, len(errors)) in ((0, 0), (EXIT_BAD_INPUT, 1)), f"{case}: {status} {output}"


@pytest.fixture
def once(short_run, python, tmp_path):
    """Return a function that executes a short run with results in a folder, and returns its exit status and output."""
    script, arguments = short_run

    def call(results, **fault):
        given = {"folder": results, "script": script.__name__, "arguments": [*arguments, *QUICK], **fault}
        status = execute(python, "run", given, tmp_path / "output")
        return status, (tmp_path / "output").read_text()

    return call


@each(2, None if TORTURE else 6)
def test_a_run_survives_the_failure_of_any_operation(once, most, tmp_path, record_property):
    status, output = once(tmp_path / "whole")
    assert status == 0, output
    operations, expected = (tmp_path / "whole.operations").read_text().splitlines(), table_of(tmp_path / "whole")
    chosen = cases(len(operations), most)
    for number, fault in chosen:
        case, results = f"{fault}: operation {number}, {operations[number]}", tmp_path / f"{number}-{fault}"
        status, output = once(results, number=number, fault=fault)
        if fault in ERRORS:
            check_outcome(status, output, case)
        else:
            assert status in (-signal.SIGKILL, 0), f"{case}: {output}"  # 0: fewer operations than in the first run
        status, output = once(results)
        assert status == 0, f"after {case}: {output}"
        assert table_of(results).equals(expected), case
        assert not leftovers(results), case
    record_property("faults", len(chosen))


@each(1, 100 if TORTURE else 4)
def test_a_run_survives_a_disk_that_fills_up(once, most, tmp_path, record_property):
    """Writing beyond a certain size fails, in the middle of a checkpoint or of the metrics."""
    status, output = once(tmp_path / "whole")
    assert status == 0, output
    expected, size = table_of(tmp_path / "whole"), max(p.stat().st_size for p in (tmp_path / "whole").rglob("*.*"))
    for limit in (size * part // (most + 1) for part in range(1, most + 1)):
        results = tmp_path / f"limit-{limit}"
        check_outcome(*once(results, limit=limit), f"files of {limit} of {size} bytes")
        status, output = once(results)
        assert status == 0, output
        assert table_of(results).equals(expected), limit
        assert not leftovers(results), limit
    record_property("faults", most)


@each(2, None if TORTURE else 6)
def test_a_run_survives_a_power_cut(once, most, tmp_path, record_property):
    """Whatever a power cut leaves of the files, the next call completes the run."""
    status, output = once(tmp_path / "whole", states=tmp_path / "states", most=most)
    assert status == 0, output
    expected, left = table_of(tmp_path / "whole"), [path for path in (tmp_path / "states").iterdir() if path.is_dir()]
    for results in left:
        status, output = once(results)
        assert status == 0, f"{results}: {output}"
        assert table_of(results).equals(expected), results
        assert not leftovers(results), results
    record_property("faults", len(left))


class Building:
    """Runs of figure 4a, and what is built from them.

    Args:
        results: folder in which to write metrics, a value per step and seed.
        python: interpreter that builds the figure.
    """

    def __init__(self, results, python):
        self.results, self.python, self.log = results, python, results.with_suffix(".log")
        self.figure = load_figure("fig4a", "smoke")
        for spec in (shown.spec for shown in shown_runs(self.figure, Conditions())):
            rows = [("return", step, None, step / 100 + spec.seed) for step in range(1_024, 4_097, 1_024)]
            write_run(results, spec, rows)

    def build(self, **fault):
        """Return the exit status and the output."""
        status = execute(self.python, "build_figure", {"folder": self.results, **fault}, self.log)
        return status, self.log.read_text()

    def files(self):
        return [path for pattern in ("tables/*/*.parquet", "figures/*.*") for path in self.results.glob(pattern)]

    def contents(self):
        return {path.name: path.read_bytes() for path in self.files() if path.suffix != ".tmp"}


@pytest.fixture
def building(python, tmp_path):
    return Building(tmp_path / "results", python)


@pytest.mark.parametrize(
    "most", [2, pytest.param(None if TORTURE else 6, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_figure_survives_the_failure_of_any_operation(most, building, record_property):
    status, output = building.build()
    assert status == 0, output
    expected = building.contents()
    operations = building.results.with_suffix(".operations").read_text().splitlines()
    chosen = cases(len(operations), most)
    for number, fault in chosen:
        case = f"{fault}: operation {number}, {operations[number]}"
        for path in building.files():
            path.unlink()
        status, output = building.build(number=number, fault=fault)
        if fault in ERRORS:
            check_outcome(status, output, case)
        assert building.contents().items() <= expected.items(), f"{case}: a file with other contents exists"
        status, output = building.build()
        assert status == 0, f"after {case}: {output}"
        assert building.contents() == expected, case
    record_property("faults", len(chosen))


@pytest.mark.parametrize(
    "most", [2, pytest.param(None if TORTURE else 6, marks=pytest.mark.slow)], ids=["some", "many"]
)
def test_a_power_cut_leaves_complete_tables_and_figures_or_none(most, building, tmp_path, record_property):
    status, output = building.build(states=tmp_path / "states", most=most)
    assert status == 0, output
    expected, left = building.contents(), [path for path in (tmp_path / "states").iterdir() if path.is_dir()]
    for state in left:
        building.results = state
        assert building.contents().items() <= expected.items(), f"{state}: a file with other contents exists"
        status, output = building.build()
        assert status == 0, f"{state}: {output}"
        assert building.contents() == expected, state
    record_property("faults", len(left))
