"""Whichever operation on files fails, a run ends in one clear line, and the next call completes it exactly."""

import resource
import signal

import pyarrow.parquet as pq
import pytest
from faults import ERRORS, Injected, cases, in_a_fork
from scripts import metrics_file, run
from written import write_run

from lop.common.errors import EXIT_BAD_INPUT, told_in_one_line
from lop.figures.collect import collect, read_collected, write_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs, table_path
from lop.runs.spec import IDENTITY, Conditions

SOME, ALL = 5, None  # operations per problem in the fast tests and in the slow ones
QUICK = ("--checkpoint-every", 0.001)  # several checkpoints even in a run of a fraction of a second


def table_of(results):
    return pq.read_table(metrics_file(results)).replace_schema_metadata(None)


def once(script, arguments, results, *, number=None, fault="", limit=None):
    """Execute a run with a fault in a fork; return its exit status and its output."""
    output = results.with_suffix(".txt")

    def program():
        if limit is not None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with Injected(results, number, fault) as injected:
            run(script, *arguments, *QUICK, "--results", results)
        if number is limit is None:
            results.with_suffix(".count").write_text("\n".join(injected.operations))

    status = in_a_fork(program, output)
    return status, output.read_text()


def leftovers(results):
    """Return temporary files. That of the identity may stay for a day, since runs of other seeds also write it."""
    return [path for path in results.rglob("*.tmp") if IDENTITY not in path.name]


def check_outcome(status, output, case):
    """A failed operation is reported in one line, unless the run can do without it."""
    assert "Traceback" not in output, f"{case}: {output}"
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert (status, len(errors)) in ((0, 0), (EXIT_BAD_INPUT, 1)), f"{case}: {status} {output}"


@pytest.mark.parametrize("most", [SOME, pytest.param(ALL, marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_run_survives_the_failure_of_any_operation(short_run, most, tmp_path, record_property):
    script, arguments = short_run
    status, output = once(script, arguments, tmp_path / "whole")
    assert status == 0, output
    operations, expected = (tmp_path / "whole.count").read_text().splitlines(), table_of(tmp_path / "whole")
    chosen = cases(len(operations), most)
    for number, fault in chosen:
        case, results = f"{fault}: operation {number}, {operations[number]}", tmp_path / f"{number}-{fault}"
        status, output = once(script, arguments, results, number=number, fault=fault)
        if fault in ERRORS:
            check_outcome(status, output, case)
        else:
            assert status in (-signal.SIGKILL, 0), f"{case}: {output}"  # 0: fewer operations than in the first run
        status, output = once(script, arguments, results)
        assert status == 0, f"after {case}: {output}"
        assert table_of(results).equals(expected), case
        assert not leftovers(results), case
    record_property("faults", len(chosen))


@pytest.mark.parametrize("most", [2, pytest.param(30, marks=pytest.mark.slow)], ids=["some", "many"])
def test_a_run_survives_a_disk_that_fills_up(short_run, most, tmp_path, record_property):
    """Writing beyond a certain size fails, in the middle of a checkpoint or of the metrics."""
    script, arguments = short_run
    status, output = once(script, arguments, tmp_path / "whole")
    assert status == 0, output
    expected, size = table_of(tmp_path / "whole"), max(p.stat().st_size for p in (tmp_path / "whole").rglob("*.*"))
    for limit in (size * part // (most + 1) for part in range(1, most + 1)):
        results = tmp_path / f"limit-{limit}"
        check_outcome(*once(script, arguments, results, limit=limit), f"files of {limit} of {size} bytes")
        status, output = once(script, arguments, results)
        assert status == 0, output
        assert table_of(results).equals(expected), limit
        assert not leftovers(results), limit
    record_property("faults", most)


@pytest.mark.parametrize("most", [4, pytest.param(10_000, marks=pytest.mark.slow)], ids=["some", "all"])
def test_a_figure_survives_the_failure_of_any_operation(most, tmp_path, record_property):
    figure = load_figure("fig4a", "smoke")
    runs = shown_runs(figure, Conditions())
    for spec in (shown.spec for shown in runs):
        rows = [("return", step, None, step / 100 + spec.seed) for step in range(1_024, 4_097, 1_024)]
        write_run(tmp_path / "results", spec, rows)
    table, drawn = tmp_path / "results" / table_path(figure, runs), tmp_path / "figures"

    def build(number=None, fault="", count=None):
        with Injected(tmp_path, number, fault) as injected, told_in_one_line():
            write_collected(collect(figure, runs, tmp_path / "results"), table)
            draw(read_collected(table), figure, drawn)
        if count:
            count.write_text("\n".join(injected.operations))

    def files():
        return {path.name: path.read_bytes() for path in (table, *drawn.iterdir()) if path.suffix != ".tmp"}

    count, output = tmp_path / "count", tmp_path / "output"
    assert in_a_fork(lambda: build(count=count), output) == 0, output.read_text()
    operations, expected = count.read_text().splitlines(), files()
    chosen = cases(len(operations), most)
    for number, fault in chosen:
        case = f"{fault}: operation {number}, {operations[number]}"
        for path in (table, *drawn.iterdir()):
            path.unlink(missing_ok=True)
        status = in_a_fork(lambda number=number, fault=fault: build(number, fault), output)
        if fault in ERRORS:
            check_outcome(status, output.read_text(), case)
        found = files() if table.exists() else {}
        assert found.items() <= expected.items(), f"{case}: a file with other contents exists"
        assert in_a_fork(build, output) == 0, f"after {case}: {output.read_text()}"
        assert files() == expected, case
    record_property("faults", len(chosen))
