"""Whole runs of online permuted MNIST: torch's learners, resumption and the command line."""

import re

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from interrupted import InterruptedRun, goes_on_after_a_cut
from refusals import error_line, names
from scripts import metrics_file, run, started

from lop.data.sets import ImageSource
from lop.engines import generator
from lop.engines.online.settings import learner_settings
from lop.nets.deep_ffnn import DeepFFNN
from lop.permuted_mnist import run_mnist
from lop.permuted_mnist.compiled import initial_network
from lop.problems import PROBLEMS
from lop.runs.metrics import read_about
from lop.runs.spec import resolve, settings

PROBLEM = PROBLEMS["permuted_mnist"]
SMALL = ["--num_features", "30", "--num_examples", "4000", "--change_after", "2000"]
PUBLISHED = {  # published values that differ between configs
    "bp/std_net": {"step_size": [0.01, 0.003, 0.001]},
    "bp/small_net": {"step_size": [0.01, 0.003, 0.001], "num_features": 100},
    "bp/width": {"num_features": [100, 1000, 10000], "num_examples": 150 * 60_000},
    "bp/rate": {"change_after": [10_000, 100_000, 1_000_000]},
    "l2": {"weight_decay": [1e-3, 1e-4, 1e-5]},
    "snp": {"weight_decay": 1e-4, "perturb_scale": [1e-4, 1e-5, 1e-6]},
    "adam": {"opt": "adam", "step_size": [1e-4, 3e-5, 5e-5]},
    "cbp": {
        "agent": "cbp",
        "replacement_rate": [1e-4, 1e-5, 1e-6],
        "util_type": "adaptable_contribution",
        "decay_rate": 0.99,
        "mt": 100,
        "accumulate": True,
    },
}
SHARED = {
    "num_examples": 800 * 60_000,
    "change_after": 60_000,
    "num_features": 2000,
    "num_hidden_layers": 3,
    "agent": "bp",
    "opt": "sgd",
    "step_size": 0.003,
    "to_log": ["dead_units", "ranks", "weight_magnitude"],
}


def arguments(results, data, *more, config="cbp", setting="replacement_rate=0.0001"):
    which = ["-c", f"cfg/{config}.yml", "--setting", setting, "-s", 0]
    return [*which, "--results", results, "--data", data, *SMALL, *more]


def table_of(results, data, *more, **which):
    run(run_mnist, *arguments(results, data, *more, **which))
    return pq.read_table(metrics_file(results))


def test_script_trains(tmp_path, data):
    with started(run_mnist, *arguments(tmp_path, data)) as process:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert read_about(metrics_file(tmp_path))["horizon"] == 4000


@pytest.mark.parametrize("config", PROBLEM.configs())
def test_every_cfg_file_is_valid(config):
    for setting in settings(PROBLEM, config, "paper"):
        assert learner_settings(resolve(PROBLEM, config, 0, "paper", setting).parameters)


@pytest.mark.parametrize("config", PUBLISHED)
def test_configs_have_the_published_values(config):
    text = PROBLEM.cfg_path(config).read_text()
    with_points = re.sub(r"(\d)e-", r"\1.0e-", text)  # without a decimal point, YAML reads 1e-3 as text
    assert yaml.safe_load(with_points) == SHARED | PUBLISHED[config]


METHODS = {
    "L2, Adam": ["--weight_decay", 0.001, "--opt", "adam", "--step_size", 0.0003],
    "online normalisation": ["--online_norm", "true", "--alpha_forward", 0.99],
    "continual backpropagation": ["--agent", "cbp"],
    "linear": ["--agent", "linear"],
}


@pytest.mark.parametrize("method", METHODS)
def test_both_engines_give_the_same_metrics(method, tmp_path, data):
    more = ["--agent", "bp", "--hidden_activation", "tanh", "--num_examples", 2000, "--change_after", 1000]
    more += ["--replacement_rate", 0.001, *METHODS[method]]
    compiled, reference = (
        table_of(tmp_path / engine, data, *more, "--engine", engine, setting="default").to_pandas()
        for engine in ("compiled", "reference")
    )
    columns = ["metric", "step", "layer"]
    assert reference[columns].equals(compiled[columns])
    for metric, rows in reference.groupby("metric"):
        expected, tolerance = compiled["value"][rows.index], TOLERANCES.get(metric, {"rtol": 2e-3})
        np.testing.assert_allclose(rows["value"], expected, err_msg=metric, **tolerance)
    assert set(reference["metric"]) >= {"online_accuracy", "weight_magnitude"}


TOLERANCES = {  # accuracies are multiples of 1/1000, ranks of 1/30
    "online_accuracy": {"atol": 0.0021},
    "rank": {"atol": 0.034},
    "stable_rank": {"atol": 0.034},
    "approximate_rank": {"atol": 0.034},
}


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_initial_weights_match_the_torch_network(activation):
    p = resolve(PROBLEM, "bp/small_net", 0, "paper", "step_size=0.01").parameters
    p = p.model_copy(update={"hidden_activation": activation, "num_features": 9})
    torch.manual_seed(5)
    net = DeepFFNN(784, 9, 10, 3, act_type=activation)
    linear = [module for module in net.layers if isinstance(module, torch.nn.Linear)]
    for (weights, biases), layer in zip(initial_network(p, generator.seeded(5)), linear, strict=True):
        np.testing.assert_array_equal(weights, layer.weight.detach())
        np.testing.assert_array_equal(biases, layer.bias.detach())


@pytest.mark.parametrize(
    ("config", "setting", "more"),
    [
        ("cbp", "default", {"opt": "adam", "perturb_scale": 1e-5, "replacement_rate": 0.01, "mt": 10}),
        ("dropout", "dropout=0.1", {"online_norm": True}),
    ],
    ids=["replacement, Adam, noise", "dropout, online normalisation"],
)
def test_run_interrupted_within_a_task_and_between_tasks_resumes_exactly(
    config, setting, more, tmp_path, data, monkeypatch
):
    monkeypatch.setattr(run_mnist, "WIDE", 30)  # wide networks can be saved between two logged accuracies
    small = {"num_features": 30, "num_examples": 2000, "change_after": 1000}
    spec = resolve(PROBLEM, config, 0, "paper", setting, overrides=small | more)
    table, state = goes_on_after_a_cut(
        run_mnist.train, lambda name: InterruptedRun(spec, tmp_path / name, data=data), saved_at=[500, 1000]
    )
    rows = table.to_pandas()
    assert list(rows[rows["metric"] == "online_accuracy"]["step"]) == [1000, 2000]
    if spec.parameters.agent == "cbp":
        ages = state["learner"]["ages"]
        assert ((ages > 0) & (ages < 1000)).any()  # units were replaced after the last interruption


@pytest.mark.parametrize(
    ("to_log", "metrics"),
    [
        ("[]", set()),
        ("[weight_magnitude]", {"weight_magnitude", "layer_weight_magnitude"}),
        ("[dead_units]", {"dead_units"}),
    ],
)
def test_only_the_chosen_metrics_are_logged(to_log, metrics, tmp_path, data):
    table = table_of(tmp_path, data, "--to_log", to_log)
    assert set(table["metric"].to_pylist()) == {"online_accuracy"} | metrics


def test_metrics_file_identifies_the_images_of_its_run(tmp_path, data):
    run(run_mnist, *arguments(tmp_path, data))
    about = read_about(metrics_file(tmp_path))
    assert about["origin"]["images"] == ImageSource().identity("mnist")
    assert len(about["images"]) == 64


@pytest.mark.parametrize(
    ("more", "facts"),
    [
        (["--num_examples", "3000"], ["num_examples", 3000, "change_after", 2000]),
        (["--change_after", "1500"], ["change_after", 1500, 1000]),
        (["--dropout", "1"], ["dropout", 1]),
        (["--dropout", "0.5"], ["agent", "cbp", "bp", "l2", "dropout", "online_norm"]),
        (["--data-source", "fonts"], ["--data-source", "fonts"]),
        (["--data", "nowhere"], ["train-images-idx3-ubyte.gz", "python -m lop.data mnist --data nowhere"]),
        (["--data-seed", "7"], ["train-images-idx3-ubyte.gz", "python -m lop.data mnist --seed 7"]),
        (["--data-seed", "-1"], ["seed", -1, 0]),
    ],
)
def test_invalid_input_gives_a_one_line_error_and_exit_status_2(more, facts, tmp_path, data, capsys):
    names(error_line(capsys, run, run_mnist, *arguments(tmp_path, data, *more)), *facts)


@pytest.mark.slow
def test_backpropagation_loses_plasticity_and_continual_backpropagation_keeps_it(tmp_path, data):
    """40 tasks of 10,000 examples with three layers of 100 units."""

    def accuracies(config, setting):
        more = ["--num_features", 100, "--change_after", 10_000, "--num_examples", 400_000, "--step_size", 0.01]
        rows = table_of(tmp_path / config, data, *more, config=config, setting=setting).to_pandas()
        return rows[rows.metric == "online_accuracy"]["value"].to_numpy().reshape(40, 10).mean(1)

    plain = accuracies("bp/small_net", "default")
    replacing = accuracies("cbp", "replacement_rate=0.0001")
    assert plain[-5:].mean() < plain[1:6].mean() - 0.1
    assert replacing[-5:].mean() > plain[-5:].mean() + 0.1
