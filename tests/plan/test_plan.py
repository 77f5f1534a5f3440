"""`python -m lop.plan`: states of runs, estimates of their cost, and the printed plan."""

import json
import math
import platform
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from refusals import error_line, names
from written import about, write_run

import lop.plan.__main__
from lop.common.core_hours import cost_text, hours_text
from lop.common.paths import ROOT
from lop.figures.registry import ResultsFile, figure_names, load_figure
from lop.figures.runs import by_path, shown_runs
from lop.plan.__main__ import main
from lop.plan.costs import MODELS, Estimate, estimate, model_seconds, read_records
from lop.plan.state import states
from lop.plan.table import table
from lop.problems import PROBLEMS
from lop.runs.spec import IDENTITY, Conditions, resolve


def spec(seed=0, config="ant/std", scale="smoke", conditions=Conditions(), **overrides):
    return resolve(PROBLEMS["rl"], config, seed, scale, overrides=overrides, conditions=conditions)


def made(results, spec, seconds=10.0, node=None, versions=None):
    """Write the metrics file and the identity of a run."""
    machine = about(spec)["machine"] | {"node": node or platform.node()}
    path = write_run(results, spec, [], machine=machine, versions=versions or {}, seconds=seconds)
    (results / spec.group / IDENTITY).write_text(json.dumps(spec.identity))
    return path


def why(spec, results, *others):
    """Return why a run has to be executed, given other wanted runs."""
    return states([spec, *others], results)[spec.path].why


def test_existing_run_is_not_executed_again(tmp_path):
    assert why(spec(), tmp_path) == "missing"
    made(tmp_path, spec())
    assert why(spec(), tmp_path) == ""


def edited(**overrides):
    """Return the run of the same cfg file before its parameters were edited."""
    return replace(spec(**overrides), setting=spec().setting)


def changed_code(**overrides):
    other = edited(**overrides)
    other.__dict__["identity"] = {**other.identity, "code": {"lop.algos.rl.ppo": "0"}}
    return other


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (edited(lr=1.0), "of another lr"),
        (spec(conditions=Conditions(device="cuda")), "of another device"),
        (changed_code(), "of other code"),
        (changed_code(lr=1.0), "of another lr"),
        (spec(n_steps=100), "longer than before"),
        (spec(n_steps=10**6), "shorter than before"),
        (edited(lr=1.0, g=0.5, lm=0.5, bs=32, wd=1.0), "missing"),
        (edited(seed=1, lr=1.0), "missing"),
        (spec(lr=1.0), "missing"),
    ],
)
def test_reason_for_execution_is_the_difference_to_an_existing_run(other, reason, tmp_path):
    made(tmp_path, other).with_name("checkpoint.pt").touch()
    assert why(spec(), tmp_path) == reason


def test_run_is_recognised_by_its_parameters_if_another_config_recorded_it(tmp_path):
    """Two configs of permuted MNIST have a setting in common."""
    first = resolve(PROBLEMS["permuted_mnist"], "bp/std_net", 0, "laptop", "step_size=0.003")
    second = resolve(PROBLEMS["permuted_mnist"], "bp/rate", 0, "laptop", "change_after=10000")
    assert first.path == second.path
    made(tmp_path, first, seconds=5 * model_seconds("permuted_mnist", first.parameters))
    assert estimate(second, read_records(tmp_path)).basis == "same parameters"
    first.__dict__["identity"] = {**first.identity, "code": {}}
    for cached in ("key", "group"):
        del first.__dict__[cached]
    shutil.rmtree(tmp_path / "permuted_mnist")
    made(tmp_path, first)
    assert why(second, tmp_path) == "of other code"


def test_files_with_other_names_are_no_runs(tmp_path):
    """Programs that synchronise folders keep conflicting copies."""
    path = made(tmp_path, spec())
    shutil.copy(path, path.with_name("metrics-4096 (conflicted copy).parquet"))
    shutil.copytree(path.parent, path.parent.with_name("seed-0 copy"))
    longer = spec(n_steps=10_000)
    (path.parent / "checkpoint.pt").touch()
    assert why(longer, tmp_path) == "longer than before"
    assert len(read_records(tmp_path)) == 1


def test_other_wanted_runs_are_not_reasons(tmp_path):
    made(tmp_path, edited(lr=1.0))
    assert why(spec(), tmp_path, edited(lr=1.0)) == "missing"


def test_interrupted_and_damaged_runs_are_executed(tmp_path):
    folder = tmp_path / spec().folder
    folder.mkdir(parents=True)
    (folder / "checkpoint.pt").touch()
    assert why(spec(), tmp_path) == "interrupted"
    path = made(tmp_path, spec())
    path.write_bytes(path.read_bytes()[:100])
    assert why(spec(), tmp_path) == "damaged"


def test_estimate_uses_the_records_most_similar_to_the_run(tmp_path):
    model = {config: model_seconds("rl", spec(config=config).parameters) for config in ("ant/std", "hopper/std")}
    assert estimate(spec(), []) == Estimate(model["ant/std"], "model")
    made(tmp_path, spec(config="hopper/std"), seconds=3 * model["hopper/std"])
    found = estimate(spec(), read_records(tmp_path))
    assert found.basis == "same problem"
    assert found.seconds == pytest.approx(3 * model["ant/std"])
    made(tmp_path, spec(lr=0.1), seconds=2 * model["ant/std"])
    assert estimate(spec(), read_records(tmp_path)).basis == "same config"
    made(tmp_path, spec(seed=1), seconds=5 * model["ant/std"])
    found = estimate(spec(scale="laptop"), read_records(tmp_path))  # differs only in length
    assert found.basis == "same parameters"
    assert found.seconds == pytest.approx(5 * model_seconds("rl", spec(scale="laptop").parameters))


def test_runs_of_other_machines_are_not_records(tmp_path):
    made(tmp_path, spec(), node="elsewhere")
    made(tmp_path, spec(seed=1, conditions=Conditions(device="cuda")))
    unknown = spec(seed=2, lr=0.5)
    unknown.__dict__["identity"] = {**unknown.identity, "problem": "gone"}
    made(tmp_path, unknown)
    assert read_records(tmp_path) == []


def test_problem_without_a_cost_model_has_no_estimate():
    parameters = spec(engine="reference").parameters
    assert math.isnan(model_seconds("mine", parameters))


def test_every_problem_has_a_cost_model():
    assert set(MODELS) == set(PROBLEMS)


@pytest.mark.parametrize(
    ("problem", "config", "setting", "scale", "seconds"),
    [
        ("rl", "ant/std", "default", "paper", 4.0 * 3600),  # 50 million steps
        ("permuted_mnist", "bp/std_net", "step_size=0.003", "paper", 18 * 3600),
        ("permuted_mnist", "bp/width", "num_features=10000", "paper", 5.2 * 86400),
        ("imagenet", "bp", "step_size=0.01", "paper", 2000 * 250 * 0.31),
        ("incremental_cifar", "base_deep_learning_system", "default", "paper", 26 * 86400),
        ("incremental_cifar", "base_deep_learning_system", "default", "laptop", 45),
        ("slowly_changing_regression", "flip_one/relu", "step_size=0.01", "paper", 0.2),
    ],
)
def test_cost_models_match_measured_times(problem, config, setting, scale, seconds):
    found = model_seconds(problem, resolve(PROBLEMS[problem], config, 0, scale, setting).parameters)
    assert found == pytest.approx(seconds, rel=0.35)


@pytest.mark.parametrize(
    ("problem", "config", "setting"),
    [
        ("rl", "ant/std", "default"),
        ("permuted_mnist", "best/bp", "default"),
        ("slowly_changing_regression", "flip_one/relu", "step_size=0.01"),
    ],
)
def test_runs_on_the_reference_take_longer(problem, config, setting):
    compiled, reference = (
        resolve(PROBLEMS[problem], config, 0, "laptop", setting, overrides={"engine": engine}).parameters
        for engine in ("compiled", "reference")
    )
    assert model_seconds(problem, reference) > 2 * model_seconds(problem, compiled)


def test_shared_runs_count_once():
    runs = {name: spec(seed) for seed, name in enumerate("abc")}
    specs = {"one": {name: runs[name] for name in "ab"}, "two": {name: runs[name] for name in "bc"}}
    todo = {name: Estimate(3600.0, "model") for name in "ab"}
    lines = table(specs, {"a": "missing", "b": "of other code", "c": ""}, todo)
    assert [line.split("  ")[0] for line in lines] == ["figure", "one", "two", "all, each run once"]
    assert lines[1].split()[1:3] == ["2", "0"]
    assert "1 missing, 1 of other code" in lines[1]
    assert lines[3].endswith("2")
    assert lines[2].endswith("1")


def test_hours_have_two_significant_digits():
    assert [hours_text(one) for one in (0.0123, 4.56, 1234.5, float("nan"))] == ["0.012", "4.6", "1,200", "unknown"]
    assert [cost_text(one) for one in (0.0023, 1234.5)] == ["less than 0.01 core-hours", "about 1,200 core-hours"]


def command(*arguments):
    """Run `python -m lop.plan` in this process."""
    main(list(map(str, arguments)))


def test_command_prints_the_plan_and_changes_nothing(tmp_path, capsys):
    made(tmp_path, spec())
    before = set(tmp_path.rglob("*"))
    command("fig4a", "--scale", "smoke", "--results", tmp_path)
    _, row, *_, last = capsys.readouterr().out.splitlines()
    assert row.split()[:5] == ["fig4a", "8", "1", "7", "missing"]
    names(last, "smoke", tmp_path)
    assert set(tmp_path.rglob("*")) == before


def test_command_names_files_of_results_that_do_not_fit(tmp_path, capsys, monkeypatch):
    source = {"file": str(tmp_path / "mine.csv"), "method": "mine"}
    shown = load_figure("fig4a", "smoke")
    (panel,) = shown.panels
    with_mine = panel.model_copy(update={"curves": panel.curves | {"mine": ResultsFile.model_validate(source)}})
    monkeypatch.setattr(
        lop.plan.__main__, "load_collected", lambda *_: shown.model_copy(update={"panels": (with_mine,)})
    )
    command("fig4a", "--scale", "smoke", "--results", tmp_path)
    names(capsys.readouterr().out.splitlines()[-1], "cannot be drawn", "mine.csv", "fig4a", "smoke")


def test_command_rejects_an_unknown_figure(capsys):
    names(error_line(capsys, command, "fig4z"), "fig4z", *figure_names())


def test_closed_output_pipe_is_not_an_error(tmp_path):
    unread = f"{sys.executable} -m lop.plan ed2b fig4a --results {tmp_path} | true"
    ended = subprocess.run(unread, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not ended.stderr


def test_other_versions_of_existing_runs_are_listed(tmp_path, capsys):
    for path, run in by_path(shown_runs(load_figure("fig4a", "smoke"), Conditions())).items():
        assert path == made(tmp_path, run, versions={"torch": "0.1"}).relative_to(tmp_path)
    command("fig4a", "--scale", "smoke", "--results", tmp_path)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "torch" in line)
    names(line, 8, "torch", "0.1", torch.__version__)


def test_runs_of_a_figure_equal_runs_resolved_one_by_one():
    for figure in ("fig3b", "fig4a", "ed2b", "fig1c"):
        for path, spec in by_path(shown_runs(load_figure(figure, "smoke"), Conditions())).items():
            assert spec == resolve(spec.problem, spec.config, spec.seed, "smoke", spec.setting)
            assert path == spec.path
