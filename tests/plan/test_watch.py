"""The progress of runs under way, read from their checkpoints and locks."""

import os
import time

import pytest
from refusals import error_line

from lop.common.locks import locked
from lop.plan import watch
from lop.plan.costs import Estimate
from lop.plan.manage import main
from lop.plan.watch import Progress, figure_lines, progress_of, running
from lop.problems import first_run
from lop.runs import checkpoint
from lop.runs.spec import CHECKPOINT, Conditions

NAME = "slowly_changing_regression/sgd/bp/relu"


@pytest.fixture
def specs():
    """Return three seeds of a run of 20,000 examples."""
    first = first_run("slowly_changing_regression", "sgd/bp/relu", "smoke", "step_size=0.01", Conditions())
    return [first.with_seed(seed) for seed in range(3)]


def interrupted(folder, spec, step, seconds, age=0.0):
    """Write a checkpoint after `step` of 20,000 examples, `age` seconds ago."""
    path = folder / spec.folder / CHECKPOINT
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"name": spec.name, "step": step, "of": 20_000, "unit": "examples", "seconds": seconds}
    checkpoint.save(path, spec.origin, {}, told)
    os.utime(path, (time.time() - age, time.time() - age))
    return path.parent


def finish(folder, spec):
    path = folder / spec.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_a_line_has_percentage_speed_and_time_left():
    line = Progress("rl/ant/std seed 2", 2_500_000, 10_000_000, "steps", 2_000.0).line()
    assert line == (
        "█████░░░░░░░░░░░░░░░  25%  rl/ant/std seed 2: 2,500,000 of 10,000,000 steps, 2,000/s, 1 h 2 min left"
    )
    assert "no checkpoint yet" in Progress("new").line()
    assert "unknown time left" in Progress("extended", 10, 10, "steps", 1.0, saved=10).line()


def test_progress_is_extrapolated_only_while_a_process_executes_the_run(tmp_path, specs):
    folder = interrupted(tmp_path, specs[0], 1_000, seconds=10.0, age=50.0)
    assert progress_of(folder).step == 1_000
    with locked(folder):
        assert progress_of(folder).step == pytest.approx(6_000, abs=300)  # 100 per second for 50 seconds
    folder = interrupted(tmp_path, specs[0], 1_000, seconds=10.0, age=5_000.0)
    with locked(folder):
        assert progress_of(folder).step == 20_000


def test_the_time_left_for_a_figure_counts_all_of_its_runs(tmp_path, specs, monkeypatch):
    monkeypatch.setattr(watch, "estimate", lambda spec, records: Estimate(300.0, "model"))
    finish(tmp_path, specs[0])
    folder = interrupted(tmp_path, specs[1], 5_000, seconds=50.0)  # 100 per second: 150 seconds left
    with locked(folder):
        first, second = figure_lines("ed2_cbp", specs, tmp_path, [])
        assert running(tmp_path) == [progress_of(folder)]
    assert first.startswith("ed2_cbp: 1 of 3 runs finished, 1 running, 1 waiting, about 7 min ")
    assert second.endswith("left")
    assert specs[1].name in second
    overdue = interrupted(tmp_path, specs[2], 5_000, seconds=50.0, age=5_000.0)
    with locked(folder), locked(overdue):
        assert ", about 1 min " in next(figure_lines("ed2_cbp", specs, tmp_path, []))  # 75 seconds
    extended = interrupted(tmp_path, specs[2], 20_000, seconds=50.0)
    with locked(folder), locked(extended):
        assert ", about 3 min " in next(
            figure_lines("ed2_cbp", specs, tmp_path, [])
        )  # 150 and 300 seconds, in parallel


def test_damaged_checkpoints_and_those_without_progress_are_shown_as_unknown(tmp_path, specs):
    folder = interrupted(tmp_path, specs[0], 5_000, seconds=50.0)
    (folder / CHECKPOINT).write_bytes((folder / CHECKPOINT).read_bytes()[:100])
    assert progress_of(folder).of == 0
    checkpoint.save(folder / CHECKPOINT, specs[0].origin, {})
    assert progress_of(folder).of == 0


def test_the_command(tmp_path, specs, capsys):
    command = ("--results", str(tmp_path), "watch", "--once")
    main(command)
    assert "no process executes a run" in capsys.readouterr().out
    with locked(interrupted(tmp_path, specs[2], 5_000, seconds=50.0)):
        main(command)
        assert f"{specs[2].name}: 5,0" in capsys.readouterr().out
        main((*command, "ed2_cbp", "--scale", "smoke"))
        out = capsys.readouterr().out
    assert out.startswith("ed2_cbp: 0 of ")
    assert "1 running" in out
    assert specs[2].name in out
    assert "'nofigure'" in error_line(capsys, main, (*command, "nofigure"))
