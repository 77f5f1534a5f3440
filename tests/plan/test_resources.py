"""Resources requested from a scheduler: config/resources.yaml and the cost models."""

from functools import partial

import pytest
from refusals import refusal

from lop.plan.costs import MODELS, model_seconds
from lop.plan.resources import read_resources, resources
from lop.problems import PROBLEMS, first_run
from lop.runs.spec import Conditions, resolve

TABLE = """
shortest: 10
longest: 1440
runs:
  rl: {mem_mb: 700, slack: 5}
  slowly_changing_regression: {mem_mb: 800}
  permuted_mnist: {mem_mb: 900}
  imagenet: {mem_mb: 1000}
  incremental_cifar: {mem_mb: 1100}
"""


def spec_of(config="ant/std", scale="paper", problem="rl", **overrides):
    return resolve(PROBLEMS[problem], config, 0, scale, overrides=overrides)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "resources.yaml"
    path.write_text(TABLE)
    return path


def test_memory_and_slack_are_set_per_problem(table):
    spec = spec_of(n_steps=1_000_000)
    assert resources(spec, path=table) == (700, round(5 * model_seconds("rl", spec.parameters) / 60), 0, 0)
    cifar = spec_of("base_deep_learning_system", "laptop", "incremental_cifar")
    assert resources(cifar, path=table).mem_mb == 1100


def test_runtime_stays_within_its_limits(table):
    assert resources(spec_of("ant/std", "smoke"), path=table).runtime == 10
    assert resources(spec_of("ant/std", n_steps=10**9), path=table).runtime == 1440


def test_problem_without_a_cost_model_gets_the_longest_runtime(table, monkeypatch):
    monkeypatch.delitem(MODELS, "rl")
    assert resources(spec_of("ant/std", "smoke"), path=table).runtime == 1440


def test_several_seeds_in_a_job_take_several_times_as_long(table):
    spec = spec_of(n_steps=1_000_000)
    one, seven = (resources(spec, seeds=seeds, path=table) for seeds in (1, 7))
    assert seven.runtime == pytest.approx(7 * one.runtime, abs=7)
    assert seven.mem_mb == one.mem_mb


def test_runs_on_a_gpu_ask_for_their_share_of_it(table):
    conditions = Conditions(device="cuda:1", gpu_problems=("imagenet",))
    of = partial(first_run, scale="smoke", setting="default", conditions=conditions)
    imagenet, ant = of("imagenet", "cbp"), of("rl", "ant/cbp")
    assert resources(imagenet, {"imagenet": 3}, path=table)[2:] == (1, 34)
    assert resources(imagenet, path=table)[2:] == (1, 100)
    assert (ant.conditions.device, resources(ant, {"imagenet": 3}, path=table)[2:]) == ("cpu", (0, 0))
    alone = first_run("rl", "ant/cbp", "smoke", "default", Conditions(device="cuda"))
    assert alone.conditions.device == "cuda"


def test_limits_of_the_project_apply_to_the_shortest_and_longest_runs():
    table = read_resources()
    assert table.runs.keys() == PROBLEMS.keys()
    assert resources(spec_of("cbp", "smoke", "imagenet")).runtime == table.shortest
    assert resources(spec_of("base_deep_learning_system", "paper", "incremental_cifar")).runtime == table.longest


@pytest.mark.parametrize(
    ("old", "new", "facts"),
    [
        ("mem_mb: 700", "mem: 700", ("rl.mem",)),
        ("mem_mb: 700", "mem_mb: 700, tens: true", ("rl.tens",)),
        ("mem_mb: 700", "mem_mb: -1", ("rl.mem_mb", -1)),
        ("longest: 1440", "longest: 5", ("longest", 5, "shortest", 10)),
        ("  imagenet: {mem_mb: 1000}\n", "", ("runs", *PROBLEMS)),
    ],
)
def test_invalid_table_is_rejected(table, old, new, facts):
    table.write_text(TABLE.replace(old, new))
    with refusal(table, *facts):
        read_resources(table)
