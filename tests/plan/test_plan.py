import json
import platform
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from lop.plan.wanted import wanted_runs
from lop.runs.store import Store

from lop.common.paths import ROOT
from lop.data.sets import Images
from lop.plan.costs import MODELS, Estimate, estimate, model_seconds, read_records
from lop.plan.state import state
from lop.plan.table import hours_text, table
from lop.problems import PROBLEMS
from lop.runs.metrics import SCHEMA
from lop.runs.spec import resolve


def spec(seed=0, config="ant/std", scale="smoke", **overrides):
    return resolve(PROBLEMS["rl"], config, seed, scale, overrides=overrides)


def made(results, spec, seconds=10.0, **changed):
    """A metrics file as the run would have left it."""
    about = {
        "problem": spec.problem.name,
        "config": spec.config,
        "seed": spec.seed,
        "parameters": spec.identity,
        "code_digest": spec.code_digest,
        "machine": {"node": platform.node()},
        "device": "cpu",
        "seconds": seconds,
    } | changed
    path = results / spec.folder / "metrics.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = SCHEMA.empty_table().replace_schema_metadata({b"lop": json.dumps(about).encode()})
    pq.write_table(table, path)
    return path


def test_a_run_as_it_is_wanted_is_there(tmp_path):
    assert state(spec(), tmp_path) == "missing"
    made(tmp_path, spec())
    assert state(spec(), tmp_path) == ""


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"seed": 1}, "of another seed"),
        ({"code_digest": "0"}, "of other code"),
        ({"parameters": spec().identity | {"lr": 1.0}}, "of another lr"),
        ({"parameters": spec().identity | {"gone": 1}}, "of another gone"),
    ],
)
def test_why_a_run_is_stale(changed, why, tmp_path):
    made(tmp_path, spec(), **changed)
    assert state(spec(), tmp_path) == why


def test_damaged_runs_are_told_and_kept_ones_come_back(tmp_path):
    path = made(tmp_path, spec())
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    assert state(spec(), tmp_path) == "damaged"
    kept = Store(tmp_path).metrics(spec())
    kept.parent.mkdir(parents=True)
    kept.write_bytes(whole)
    assert state(spec(), tmp_path) == "damaged"  # collecting stops there
    path.unlink()
    assert state(spec(), tmp_path) == ""


def test_estimates_are_by_the_records_most_like_the_run(tmp_path):
    model = {config: model_seconds("rl", spec(config=config).parameters) for config in ("ant/std", "hopper/std")}
    assert estimate(spec(), []) == Estimate(model["ant/std"], "model")
    made(tmp_path, spec(config="hopper/std"), seconds=3 * model["hopper/std"])
    found = estimate(spec(), read_records(tmp_path))
    assert found.basis == "same problem"
    assert found.seconds == pytest.approx(3 * model["ant/std"])
    made(tmp_path, spec(lr=0.1), seconds=2 * model["ant/std"])
    assert estimate(spec(), read_records(tmp_path)).basis == "same config"
    made(tmp_path, spec(seed=1), seconds=5 * model["ant/std"])
    found = estimate(spec(scale="laptop"), read_records(tmp_path))  # the same but for its length
    assert found.basis == "same parameters"
    assert found.seconds == pytest.approx(5 * model_seconds("rl", spec(scale="laptop").parameters))


def test_runs_of_other_machines_are_no_records(tmp_path):
    made(tmp_path, spec(), machine={"node": "elsewhere"})
    made(tmp_path, spec(seed=1), device="cuda")
    made(tmp_path, spec(seed=2), parameters={"gone": 1})
    assert read_records(tmp_path) == []


def test_every_problem_has_a_model():
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
def test_models_say_what_was_measured(problem, config, setting, scale, seconds):
    found = model_seconds(problem, resolve(PROBLEMS[problem], config, 0, scale, setting).parameters)
    assert found == pytest.approx(seconds, rel=0.35)


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


def test_hours():
    assert [hours_text(one) for one in (0.0123, 4.56, 1234.5, float("nan"))] == ["0.012", "4.6", "1,200", "unknown"]


def test_by_hand(tmp_path):
    made(tmp_path, spec())
    command = [sys.executable, "-m", "lop.plan", "fig4a", "--scale", "smoke", "--results", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "fig4a   8     1      7 missing" in ran.stdout
    assert "nothing was started" in ran.stdout
    unread = f"{sys.executable} -m lop.plan ed2b fig4a --results {tmp_path} | true"
    ended = subprocess.run(unread, shell=True, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not ended.stderr
    wrong = subprocess.run([*command[:3], "fig4z"], cwd=ROOT, capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr.count("\n") == 1


def test_the_runs_of_a_figure_are_those_that_each_resolves_to():
    images = Images("glyphs", 0)
    for figure in ("fig3b", "fig4a", "ed2b", "fig1c"):
        for path, spec in wanted_runs(figure, "smoke", images).items():
            assert spec == resolve(spec.problem, spec.config, spec.seed, "smoke", spec.setting, images=images)
            assert path == spec.folder / "metrics.parquet"
