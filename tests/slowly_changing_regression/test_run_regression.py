"""Whole runs of slowly-changing regression: against torch's learners, killed, and from the command line."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from test_problem import dense

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.common.paths import ROOT
from lop.nets.ffnn import FFNN
from lop.nets.linear import MyLinear
from lop.online import generator
from lop.problems import PROBLEMS
from lop.runs.spec import resolve, settings
from lop.slowly_changing_regression import run_regression
from lop.slowly_changing_regression.problem import Stream
from lop.slowly_changing_regression.run_regression import initial_network

PROBLEM = PROBLEMS["slowly_changing_regression"]
FOLDER = ROOT / "lop" / "slowly_changing_regression"


def command(results, *more, config="sgd/cbp/relu", setting="replacement_rate=0.01", seed="0"):
    script = [sys.executable, "run_regression.py", "-c", f"cfg/{config}.yml", "--setting", setting, "-s", seed]
    return [*script, "--results", str(results), *more]


def run(results, *more, **which):
    ended = subprocess.run(command(results, *more, **which), cwd=FOLDER, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stderr


def table(results):
    (path,) = results.glob("**/seed-0/metrics-*.parquet")
    return pq.read_table(path)


@pytest.mark.parametrize("config", PROBLEM.configs())
def test_every_cfg_file_is_valid(config):
    for setting in settings(PROBLEM, config, "paper"):
        spec = resolve(PROBLEM, config, 0, "paper", setting)
        assert spec.parameters.step_size > 0


def test_all_published_configurations_are_there():
    names = set(PROBLEM.configs())
    activations = ["relu", "leaky_relu", "tanh", "sigmoid", "elu", "swish"]
    for opt in ("sgd", "adam"):
        expected = [f"{opt}/bp/{name}" for name in ("5m", "linear", "linear_1")]
        expected += [f"{opt}/bp/{name}{kind}" for name in activations for kind in ("", "_wd", "_snp")]
        assert set(expected) <= names
    assert {f"flip_one/{name}" for name in [*activations, "linear"]} | {"sgd/cbp/relu"} <= names


@pytest.mark.parametrize("agent", ["bp", "cbp", "linear"])
def test_errors_are_those_of_torchs_learners_on_the_same_stream(agent, tmp_path):
    more = ["--num_data_points", "2000", "--flip_after", "1000", "--agent", agent]
    run(tmp_path, *more)
    found = table(tmp_path).to_pandas()["value"]

    stream_seed, learner_seed = np.random.SeedSequence(0).spawn(2)
    stream = Stream(stream_seed, 20, 1000, 15, False, 100, 0.7)
    torch.manual_seed(int(learner_seed.generate_state(1)[0]))
    if agent == "linear":
        learner = Backprop(MyLinear(20), step_size=0.01)
    elif agent == "bp":
        learner = Backprop(FFNN(20, 5), step_size=0.01)
    else:
        settings = {"replacement_rate": 0.01, "decay_rate": 0.99, "maturity_threshold": 10}
        learner = ContinualBackprop(FFNN(20, 5), step_size=0.01, util_type="adaptable_contribution", **settings)
    expected = []
    for _ in range(2):
        x, y = (torch.tensor(part) for part in dense(stream.stretch()))
        losses = [learner.learn(x[t : t + 1], y[t : t + 1, None]).item() for t in range(1000)]
        expected.append(np.mean(losses))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "tanh", "elu", "swish", "sigmoid"])
def test_initial_weights_are_the_networks(activation):
    spec = resolve(PROBLEM, f"flip_one/{activation}", 0, "paper", "step_size=0.01")
    torch.manual_seed(5)
    net = FFNN(20, 5, hidden_activation=activation)
    (hidden, _), (out, _) = initial_network(spec.parameters, generator.seeded(5))
    np.testing.assert_array_equal(hidden, net.layers[0].weight.detach())
    np.testing.assert_array_equal(out, net.layers[2].weight.detach())


def saves(results):
    return [path.stat().st_mtime for path in results.glob("**/checkpoint.pt")]


def test_killed_at_random_points_it_ends_with_the_same_numbers(tmp_path):
    """Adam, noise and replacement together, with all metrics."""
    more = ["--opt", "adam", "--weight_decay", "0.001", "--perturb_scale", "0.0001", "--checkpoint-every", "0.05"]
    more += ["--to_log", "[weight_magnitude, gradient_magnitude, inactive_units]"]
    run(tmp_path / "whole", *more)
    killed, rng, kills = tmp_path / "killed", random.Random(0), 0
    while True:
        process = subprocess.Popen(command(killed, *more), cwd=FOLDER, stderr=subprocess.PIPE)
        if kills < 2:
            before = saves(killed)
            while process.poll() is None and before == saves(killed):
                time.sleep(0.01)
            time.sleep(rng.uniform(0, 0.3))
            process.send_signal(signal.SIGKILL if kills % 2 else signal.SIGTERM)
            kills += 1
        _, told = process.communicate()
        if process.returncode == 0:
            break
        assert process.returncode in (-signal.SIGKILL, 75), told
    assert table(killed).equals(table(tmp_path / "whole"))
    names = set(table(killed)["metric"].to_pylist())
    assert names == {"squared_error", "weight_magnitude", "gradient_magnitude", "inactive_units"}


def test_seeds_one_by_one_have_files_of_their_own(tmp_path):
    told = run(tmp_path, "--num_data_points", "20000", seed="3-5")
    assert told.count(": done, 20,000 examples") == 3
    assert len(list(tmp_path.glob("**/seed-[345]/metrics-20000.parquet"))) == 3
    assert run(tmp_path, "--num_data_points", "20000", seed="2-4").count(": already done") == 2


def test_a_longer_run_goes_on_from_a_shorter_one_and_leaves_its_file(tmp_path):
    run(tmp_path, "--num_data_points", "20000")
    assert "continues from 20,000" in run(tmp_path, "--num_data_points", "50000")
    (folder,) = tmp_path.glob("**/seed-0")
    shorter, longer = (pq.read_table(folder / f"metrics-{n}.parquet").to_pydict() for n in (20_000, 50_000))
    assert longer["value"][:20] == shorter["value"]
    assert longer["step"] == list(range(1000, 50_001, 1000))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--num_data_points", "1234"], "key `num_data_points`: found 1234, allowed: a multiple of flip_after"),
        (["--flip_after", "1500"], "key `flip_after`: found 1500, allowed: a multiple of 1000"),
        (["--num_flipping_bits", "21"], "key `num_flipping_bits`: found 21, allowed: up to num_inputs (20)"),
        (["--num_features", "0"], "key `num_features`: found 0, allowed: 1 and more"),
        (["-s", "5-2"], "argument -s/--seed: found '5-2', allowed: a number, or a range such as 0-9"),
        (["-s", "-1"], "seed: found -1, allowed: 0 to 4294967295"),
    ],
)
def test_bad_input_is_told_in_one_line(more, message, tmp_path, refused):
    assert message in refused(run_regression, command(tmp_path, *more)[2:])


@pytest.mark.slow
def test_plasticity_is_lost_and_continual_backpropagation_keeps_it(tmp_path):
    """Ten seeds of half a million examples: with backpropagation errors rise, with replacement they do not."""

    def errors(config, setting):
        results = tmp_path / setting
        run(results, "--num_data_points", "500000", config=config, setting=setting, seed="0-9")
        files = results.glob("**/metrics-*.parquet")
        return np.mean([pq.read_table(path)["value"].to_numpy() for path in files], 0)

    os.environ["OMP_NUM_THREADS"] = "1"
    plain, replacing = errors("sgd/bp/relu", "step_size=0.01"), errors("sgd/cbp/relu", "replacement_rate=0.001")
    assert plain[-100:].mean() > 1.5 * plain[:100].mean()
    assert replacing[-100:].mean() < 1.2 * replacing[:100].mean()
