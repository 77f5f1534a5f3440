"""Whole runs of slowly-changing regression: torch's learners, resumption and the command line."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from interrupted import InterruptedRun, goes_on_after_a_cut
from refusals import error_line, names
from scripts import metrics_file, run, started

from lop.engines import generator
from lop.nets.ffnn import FFNN
from lop.problems import PROBLEMS
from lop.runs.metrics import read_about
from lop.runs.spec import resolve, settings
from lop.slowly_changing_regression import run_regression
from lop.slowly_changing_regression.compiled import initial_network

PROBLEM = PROBLEMS["slowly_changing_regression"]


def arguments(results, *more, config="sgd/cbp/relu", setting="replacement_rate=0.01", seed=0):
    return ["-c", f"cfg/{config}.yml", "--setting", setting, "-s", seed, "--results", results, *more]


def table_of(results, *more, **which):
    run(run_regression, *arguments(results, *more, **which))
    return pq.read_table(metrics_file(results))


def test_script_trains(tmp_path):
    with started(run_regression, *arguments(tmp_path, "--num_data_points", "10000")) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert read_about(metrics_file(tmp_path))["horizon"] == 10_000


@pytest.mark.parametrize("config", PROBLEM.configs())
def test_every_cfg_file_is_valid(config):
    for setting in settings(PROBLEM, config, "paper"):
        spec = resolve(PROBLEM, config, 0, "paper", setting)
        assert spec.parameters.step_size > 0


def test_all_published_configs_exist():
    names = set(PROBLEM.configs())
    activations = ["relu", "leaky_relu", "tanh", "sigmoid", "elu", "swish"]
    for opt in ("sgd", "adam"):
        expected = [f"{opt}/bp/{name}" for name in ("5m", "linear", "linear_1")]
        expected += [f"{opt}/bp/{name}{kind}" for name in activations for kind in ("", "_wd", "_snp")]
        assert set(expected) <= names
    assert {f"flip_one/{name}" for name in [*activations, "linear"]} | {"sgd/cbp/relu"} <= names


METRICS = ["weight_magnitude", "gradient_magnitude", "inactive_units"]
METHODS = {
    "SELU": ["--agent", "bp", "--hidden_activation", "selu"],
    "sigmoid, Adam, L2": ["--agent", "bp", "--hidden_activation", "sigmoid", "--opt", "adam", "--weight_decay", 0.001],
    "continual backpropagation, Adam, tanh": ["--agent", "cbp", "--opt", "adam", "--hidden_activation", "tanh"],
    "linear": ["--agent", "linear"],
}


@pytest.mark.parametrize("method", METHODS)
def test_both_engines_give_the_same_metrics(method, tmp_path):
    more = ["--num_data_points", "2000", "--flip_after", "1000", "--to_log", str(METRICS), *METHODS[method]]
    compiled, reference = (
        table_of(tmp_path / engine, *more, "--engine", engine).to_pandas() for engine in ("compiled", "reference")
    )
    columns = ["metric", "step", "layer"]
    assert reference[columns].equals(compiled[columns])
    np.testing.assert_allclose(reference["value"], compiled["value"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "elu", "swish", "sigmoid", "selu"])
def test_initial_weights_match_the_torch_network(activation):
    p = resolve(PROBLEM, "flip_one/relu", 0, "paper", "step_size=0.01").parameters
    torch.manual_seed(5)
    net = FFNN(20, 5, hidden_activation=activation)
    p = p.model_copy(update={"hidden_activation": activation})
    (hidden, biases), (out, _) = initial_network(p, generator.seeded(5))
    np.testing.assert_array_equal(biases, net.layers[0].bias.detach())
    np.testing.assert_array_equal(hidden, net.layers[0].weight.detach())
    np.testing.assert_array_equal(out, net.layers[2].weight.detach())


ALL = {"opt": "adam", "weight_decay": 0.001, "perturb_scale": 0.0001, "to_log": METRICS}


@pytest.mark.parametrize(
    ("config", "setting", "more"),
    [
        ("sgd/cbp/relu", "replacement_rate=0.01", ALL),
        ("flip_one/tanh", "step_size=0.01", {"weight_decay": 0.001, "perturb_scale": 0.0001}),
        ("sgd/bp/linear", "step_size=0.01", {"num_flipping_bits": 4}),
    ],
    ids=["replacement, Adam, noise", "lazy decay and noise", "linear"],
)
def test_interrupted_run_resumes_exactly(config, setting, more, tmp_path):
    small = {"num_data_points": 7000, "flip_after": 1000}
    spec = resolve(PROBLEM, config, 0, "paper", setting, overrides=small | more)
    table, state = goes_on_after_a_cut(
        run_regression.train, lambda name: InterruptedRun(spec, tmp_path / name), saved_at=[1000, 4000]
    )
    assert set(table["metric"].to_pylist()) == {"squared_error", *spec.parameters.to_log}
    if spec.parameters.agent == "cbp":
        ages = state["learner"]["ages"][: spec.parameters.num_features]
        assert ages.min() < 3000  # units were replaced after the last interruption


def test_each_seed_has_a_file_and_is_trained_once(tmp_path):
    def files():
        return {
            path.parent.name: path.stat().st_mtime_ns for path in tmp_path.glob("*/*/*/seed-*/metrics-10000.parquet")
        }

    run(run_regression, *arguments(tmp_path, "--num_data_points", 10_000, seed="3-5"))
    first = files()
    assert first.keys() == {"seed-3", "seed-4", "seed-5"}
    run(run_regression, *arguments(tmp_path, "--num_data_points", 10_000, seed="2-4"))
    assert files() == first | {"seed-2": files()["seed-2"]}


def test_longer_run_continues_a_shorter_one_and_keeps_its_file(tmp_path):
    for n in (20_000, 50_000):
        run(run_regression, *arguments(tmp_path, "--num_data_points", n))
    (folder,) = tmp_path.glob("**/seed-0")
    shorter, longer = (pq.read_table(folder / f"metrics-{n}.parquet").to_pydict() for n in (20_000, 50_000))
    assert read_about(folder / "metrics-50000.parquet")["resumed"] == 1
    assert longer["value"][:20] == shorter["value"]
    assert longer["step"] == list(range(1000, 50_001, 1000))


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        (["--num_data_points", "1234"], ["num_data_points", 1234, "flip_after"]),
        (["--flip_after", "1500"], ["flip_after", 1500, 1000]),
        (["--num_flipping_bits", "21"], ["num_flipping_bits", 21, "num_inputs", 20]),
        (["--num_features", "0"], ["num_features", 0, 1]),
        (
            ["--agent", "bp", "--network", "lop.nets.bfloat16:Bfloat16", "--to_log", "[inactive_units]"],
            ["to_log", "inactive_units", "network"],
        ),
        (["-s", "5-2"], ["--seed", "5-2"]),
        (["-s", "-1"], ["seed", -1, 0, 4294967295]),
    ],
)
def test_invalid_input_gives_a_one_line_error_and_exit_status_2(more, facts, tmp_path, capsys):
    names(error_line(capsys, run, run_regression, *arguments(tmp_path, *more)), *facts)


def test_backpropagation_loses_plasticity_and_continual_backpropagation_keeps_it(tmp_path):
    """Over ten seeds of 500,000 examples, errors increase with backpropagation and not with unit replacement."""

    def errors(config, setting):
        results, more = tmp_path / setting, ["--num_data_points", 500_000]
        run(run_regression, *arguments(results, *more, config=config, setting=setting, seed="0-9"))
        return np.mean([pq.read_table(metrics_file(results, seed))["value"].to_numpy() for seed in range(10)], 0)

    plain, replacing = errors("sgd/bp/relu", "step_size=0.01"), errors("sgd/cbp/relu", "replacement_rate=0.001")
    assert plain[-100:].mean() > 1.5 * plain[:100].mean()
    assert replacing[-100:].mean() < 1.2 * replacing[:100].mean()
