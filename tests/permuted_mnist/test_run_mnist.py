"""Whole runs of online permuted MNIST: against torch's learners, killed, and from the command line."""

import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from interrupted import InterruptedRun, goes_on_after_a_cut

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.common.paths import ROOT
from lop.data import load
from lop.data.sets import Images
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.linear import MyLinear
from lop.online import generator
from lop.online.settings import learner_settings
from lop.permuted_mnist import run_mnist
from lop.permuted_mnist.problem import Stream
from lop.permuted_mnist.run_mnist import initial_network
from lop.plasticity import measure
from lop.problems import PROBLEMS
from lop.runs.metrics import read_about
from lop.runs.spec import resolve, settings

PROBLEM = PROBLEMS["permuted_mnist"]
FOLDER = ROOT / "lop" / "permuted_mnist"
SMALL = ["--num_features", "30", "--num_examples", "4000", "--change_after", "2000"]
PUBLISHED = {  # what differs from file to file, as published
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


def command(results, data, *more, config="cbp", setting="replacement_rate=0.0001", seed="0"):
    script = [sys.executable, "run_mnist.py", "-c", f"cfg/{config}.yml", "--setting", setting, "-s", seed]
    return [*script, "--results", str(results), "--data", str(data), *SMALL, *more]


def run(results, data, *more, **which):
    ended = subprocess.run(command(results, data, *more, **which), cwd=FOLDER, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def metrics(results):
    (path,) = results.glob("permuted_mnist/*/*/seed-0/metrics-*.parquet")
    return path


@pytest.mark.parametrize("config", PROBLEM.configs())
def test_every_cfg_file_is_valid(config):
    for setting in settings(PROBLEM, config, "paper"):
        assert learner_settings(resolve(PROBLEM, config, 0, "paper", setting).parameters)


@pytest.mark.parametrize("config", PUBLISHED)
def test_configurations_are_the_published_ones(config):
    text = (FOLDER / "cfg" / f"{config}.yml").read_text()
    assert (
        yaml.safe_load(re.sub(r"(\d)e-", r"\1.0e-", text)) == SHARED | PUBLISHED[config]
    )  # YAML's numbers have a point


@pytest.mark.parametrize("agent", ["bp", "cbp", "linear"])
def test_answers_and_measures_are_those_of_torchs_learners(agent, tmp_path, data):
    run(
        tmp_path,
        data,
        "--agent",
        agent,
        "--hidden_activation",
        "tanh",
        "--replacement_rate",
        "0.001",
        setting="default",
    )
    found = pq.read_table(metrics(tmp_path)).to_pandas()

    stream_seed, learner_seed = np.random.SeedSequence(0).spawn(2)
    stream = Stream(stream_seed, load.mnist(Images().folder("mnist", data)).train, 2000)
    torch.manual_seed(int(learner_seed.generate_state(1)[0]))
    net = MyLinear(784, 10) if agent == "linear" else DeepFFNN(784, 30, 10, 3, act_type="tanh")
    if agent == "cbp":
        more = {"replacement_rate": 0.001, "decay_rate": 0.99, "maturity_threshold": 100, "accumulate": True}
        learner = ContinualBackprop(net, 0.003, "nll", util_type="adaptable_contribution", **more)
    else:
        learner = Backprop(net, 0.003, "nll")
    for task in range(2):
        step = 2000 * task
        x = torch.from_numpy(stream.inputs(step, 2000))
        y = torch.from_numpy(stream.labels[stream.task(task).order].astype(np.int64))
        if agent != "linear":
            at_start = found[found.step == step]
            for layer, expected in enumerate(measure(net, x)):
                here = at_start[at_start.layer == layer].set_index("metric")["value"]
                assert here["dead_units"] == expected.dead
                assert here["effective_rank"] * 30 == pytest.approx(expected.effective_rank, rel=1e-3)
                assert here["stable_rank"] * 30 == pytest.approx(expected.stable_rank, abs=1.01)
                assert here["approximate_rank"] * 30 == pytest.approx(expected.approximate_rank, abs=1.01)
            weights = torch.cat([p.detach().abs().flatten() for p in net.parameters() if p.ndim == 2])
            (magnitude,) = at_start[at_start.metric == "weight_magnitude"]["value"]
            assert magnitude == pytest.approx(weights.mean().item(), rel=1e-4)
        right = [learner.learn(x[t : t + 1], y[t : t + 1])[1].argmax().item() == y[t] for t in range(2000)]
        shares = found[(found.metric == "online_accuracy") & (found.step > step)]["value"][:2]
        np.testing.assert_allclose(shares, np.reshape(right, (2, 1000)).mean(1), atol=0.0021)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh"])
def test_initial_weights_are_the_networks(activation):
    p = resolve(PROBLEM, "bp/small_net", 0, "paper", "step_size=0.01").parameters
    p = p.model_copy(update={"hidden_activation": activation, "num_features": 9})
    torch.manual_seed(5)
    net = DeepFFNN(784, 9, 10, 3, act_type=activation)
    linear = [module for module in net.layers if isinstance(module, torch.nn.Linear)]
    for (weights, biases), layer in zip(initial_network(p, generator.seeded(5)), linear, strict=True):
        np.testing.assert_array_equal(weights, layer.weight.detach())
        np.testing.assert_array_equal(biases, layer.bias.detach())


@pytest.mark.parametrize("saved_at", [2000, 3000])
@pytest.mark.parametrize(
    ("config", "setting", "more"),
    [
        ("cbp", "default", {"opt": "adam", "perturb_scale": 1e-5, "replacement_rate": 0.01, "mt": 10}),
        ("dropout", "dropout=0.1", {"online_norm": True}),
    ],
    ids=["cbp with Adam and noise", "dropout and online normalisation"],
)
def test_cut_within_a_task_and_between_two_it_ends_with_the_same_bits(config, setting, more, saved_at, tmp_path, data):
    small = {"num_features": 30, "num_examples": 6000, "change_after": 2000}
    spec = resolve(PROBLEM, config, 0, "paper", setting, overrides=small | more)
    goes_on_after_a_cut(run_mnist.train, lambda name: InterruptedRun(spec, tmp_path / name, data=data), saved_at)


@pytest.mark.slow
def test_killed_at_random_points_it_ends_with_the_same_numbers(tmp_path, data):
    """Dropout and online normalisation."""
    which = {"config": "dropout", "setting": "dropout=0.1"}
    more = ["--online_norm", "true", "--num_examples", "80000", "--change_after", "8000", "--checkpoint-every", "0.1"]
    run(tmp_path / "whole", data, *more, **which)
    killed, rng, kills = tmp_path / "killed", random.Random(0), 0
    while True:
        process = subprocess.Popen(command(killed, data, *more, **which), cwd=FOLDER, stderr=subprocess.PIPE)
        if kills < 3:
            saved = [path.stat().st_mtime for path in killed.glob("**/checkpoint.pt")]
            while process.poll() is None and saved == [
                path.stat().st_mtime for path in killed.glob("**/checkpoint.pt")
            ]:
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL if kills % 2 else signal.SIGTERM)
            kills += 1
        _, told = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode in (-signal.SIGKILL, -signal.SIGTERM, 75), told  # SIGTERM: it had ended
    assert pq.read_table(metrics(killed)).equals(pq.read_table(metrics(tmp_path / "whole")))
    assert read_about(metrics(killed))["resumed"] >= 1


def test_a_run_tells_which_images_it_read(tmp_path, data):
    run(tmp_path, data)
    about = read_about(metrics(tmp_path))
    assert about["origin"]["images"] == Images().identity("mnist")
    assert len(about["images"]) == 64
    assert "already done" in run(tmp_path, data)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num_examples", "3000"], "key `num_examples`: found 3000, allowed: a multiple of change_after (2000)"),
        (["--change_after", "1500"], "key `change_after`: found 1500, allowed: a multiple of 1000"),
        (["--dropout", "1"], "key `dropout`: found 1, allowed: less than 1"),
        (["--dropout", "0.5"], "key `agent`: found 'cbp', allowed: bp, l2 with dropout or online_norm"),
        (["--data-source", "fonts"], "argument --data-source: invalid choice: 'fonts'"),
        (
            ["--data", "nowhere"],
            "train-images-idx3-ubyte.gz: no such file; `python -m lop.data mnist --data nowhere` makes",
        ),
        (["--data-seed", "7"], "train-images-idx3-ubyte.gz: no such file; `python -m lop.data mnist --seed 7"),
        (["--data-seed", "-1"], "seed of data: found -1, allowed: 0 or more"),
    ],
)
def test_bad_input_is_told_in_one_line(more, message, tmp_path, data, refused):
    assert message in refused(run_mnist, command(tmp_path, data, *more)[2:])


@pytest.mark.slow
def test_plasticity_is_lost_and_continual_backpropagation_keeps_it(tmp_path, data):
    """40 tasks of 10,000 examples with three layers of 100 units."""

    def accuracies(config, setting, *more):
        more += ("--num_features", "100", "--change_after", "10000", "--num_examples", "400000", "--step_size", "0.01")
        run(tmp_path / config, data, *more, config=config, setting=setting)
        rows = pq.read_table(metrics(tmp_path / config)).to_pandas()
        return rows[rows.metric == "online_accuracy"]["value"].to_numpy().reshape(40, 10).mean(1)

    plain = accuracies("bp/small_net", "default")
    replacing = accuracies("cbp", "replacement_rate=0.0001")
    assert plain[-5:].mean() < plain[1:6].mean() - 0.1
    assert replacing[-5:].mean() > plain[-5:].mean() + 0.1
