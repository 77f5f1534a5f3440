"""Whole runs of Continual ImageNet: a plain training loop, resumption, other devices and missing images."""

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from interrupted import InterruptedRun, PowerCut, finished, goes_on_after_a_cut, left_behind, same
from refusals import refusal
from torch.nn import functional as F

from lop.algos.bp import Backprop
from lop.data.sets import ImageSource
from lop.imagenet import run_imagenet
from lop.imagenet.problem import Tasks
from lop.imagenet.run_imagenet import accuracy, train
from lop.nets.conv_net import ConvNet
from lop.problems import PROBLEMS
from lop.runs.spec import Conditions, resolve

SMALL = {
    "num_tasks": 3,
    "num_showings": 3,
    "mini_batch_size": 16,
    "total_classes": 4,
    "train_images_per_class": 20,
    "test_images_per_class": 10,
}
REPLACING = {"replacement_rate": 0.02, "maturity_threshold": 2}
METHODS = {
    "bp": ("l2", {}),
    "snp": ("snp", {"perturb_scale": 0.01}),
    "cbp": ("cbp", REPLACING),
    "cbp with cleared momentum": ("cbp", {**REPLACING, "clear_optimizer_state": True}),
    "cbp with Adam": ("cbp", {**REPLACING, "opt": "adam", "step_size": 0.001}),
    "cbp with random utilities": ("cbp", {**REPLACING, "util_type": "random"}),
    "cbp2": ("cbp2", REPLACING),
    "cbp, narrow network": ("cbp", {**REPLACING, "channels": 3}),
    "cbp2, narrow network": ("cbp2", {**REPLACING, "channels": 3}),
    "bfloat16": ("cbp", {**REPLACING, "precision": "bfloat16"}),
    "linear": ("bp_5000", {"agent": "linear"}),
}


@pytest.fixture
def images(imagenet_images):
    """Return the folder of four classes."""
    return imagenet_images


def run_of(results, images, config="cbp", device="cpu", **overrides):
    conditions = Conditions(ImageSource("original"), device)
    spec = resolve(PROBLEMS["imagenet"], config, 0, "paper", overrides=SMALL | overrides, conditions=conditions)
    return InterruptedRun(spec, results, data=images.parents[1])


@pytest.mark.parametrize("method", METHODS)
def test_resumed_run_equals_uninterrupted_run(method, images, tmp_path):
    config, overrides = METHODS[method]
    table, state = finished(train, run_of(tmp_path / "whole", images, config, **overrides))
    assert table["metric"].to_pylist() == ["train_accuracy", "test_accuracy"] * 3
    assert table["step"].to_pylist() == [1, 1, 2, 2, 3, 3]
    for saved_at in (1, 3, 5):  # within a task and between two tasks
        run = run_of(tmp_path / "interrupted", images, config, **overrides)
        run.saved_at = saved_at
        with pytest.raises(PowerCut):
            run.execute(train)
    found, its_state = finished(train, run_of(tmp_path / "interrupted", images, config, **overrides))
    assert found.equals(table)
    assert same(its_state, state)
    if "gnt" in state:
        assert any((ages < 15).any() for name, ages in state["gnt"].items() if name.endswith("ages"))


@pytest.mark.parametrize("method", ["snp", "cbp", "cbp with Adam", "cbp with random utilities", "cbp2", "linear"])
def test_run_on_another_device_matches_the_cpu_and_resumes_exactly(method, images, other_device, replays, tmp_path):
    config, overrides = METHODS[method]
    table, state = goes_on_after_a_cut(
        train, lambda name: run_of(tmp_path / name, images, config, other_device, **overrides), saved_at=4
    )
    assert bool(replays) == (other_device == "cuda" and method in ("snp", "cbp", "linear"))
    on_cpu, its_state = finished(train, run_of(tmp_path / "cpu", images, config, **overrides))
    assert on_cpu.drop("value").equals(table.drop("value"))
    if method.startswith("cbp") and other_device == "cuda" and "util_type" not in overrides:
        return  # all dead units have utility 0, and a GPU chooses a different one
    for name, weight in its_state["net"].items():
        torch.testing.assert_close(state["net"][name], weight, rtol=1e-2, atol=1 if method == "snp" else 1e-2)


@pytest.mark.parametrize("method", ["bp", "cbp"])
def test_network_is_freed_at_the_end_of_a_run(method, images, monkeypatch, tmp_path):
    config, overrides = METHODS[method]

    def run_in(name, device):
        return run_of(tmp_path / name, images, config, device, **overrides, num_tasks=1)

    assert not left_behind(train, run_imagenet, run_in, monkeypatch)


def test_longer_run_continues_and_shorter_run_is_its_beginning(images, tmp_path):
    finished(train, run_of(tmp_path / "a", images, num_tasks=1))
    run = run_of(tmp_path / "a", images, num_tasks=2)
    run.saved_at = 0  # raises PowerCut if the run starts from the beginning
    longer, state = finished(train, run)
    whole, its_state = finished(train, run_of(tmp_path / "b", images, num_tasks=2))
    assert longer.equals(whole)
    assert same(state, its_state)
    run = run_of(tmp_path / "b", images, num_tasks=1)
    run.saved_at = 0
    run.execute(train)
    assert pq.read_table(run.output).equals(whole.slice(0, 2))


def plain_training_loop(images, weight_decay):
    """Return the test accuracies and weights of the simplest training loop."""
    torch.manual_seed(int(np.random.SeedSequence(0).spawn(1)[0].generate_state(1)[0]))
    net, tasks, accuracies = ConvNet(), Tasks(0, images, 4, 2, 20, 10), []
    optimizer = torch.optim.SGD(net.parameters(), lr=0.03, momentum=0.9, weight_decay=weight_decay)

    def outputs(x):
        for convolution in (net.conv1, net.conv2, net.conv3):
            x = F.max_pool2d(F.relu(convolution(x)), 2)
        return net.fc3(F.relu(net.fc2(F.relu(net.fc1(x.flatten(1))))))

    for task in range(3):
        (x, y), (test_x, test_y) = ([torch.tensor(array) for array in part] for part in tasks.task(task))
        net.fc3.weight.data *= 0
        net.fc3.bias.data *= 0
        for epoch in range(3):
            order = tasks.order(3 * task + epoch)
            for start in range(0, 40, 16):
                batch = order[start : start + 16]
                optimizer.zero_grad()
                F.cross_entropy(outputs(x[batch]), y[batch]).backward()
                optimizer.step()
        accuracies.append((outputs(test_x).argmax(1) == test_y).float().mean().item())
    return accuracies, net.state_dict()


def test_run_matches_a_plain_training_loop(images, tmp_path):
    table, state = finished(train, run_of(tmp_path, images, "l2", weight_decay=0.1))
    accuracies, weights = plain_training_loop(images, weight_decay=0.1)
    found = table.to_pandas().query("metric == 'test_accuracy'")["value"]
    np.testing.assert_allclose(found, accuracies, atol=0.051)  # one of 20 images
    for name, weight in state["net"].items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("new_heads", [True, False])
@pytest.mark.parametrize("config", ["l2", "cbp", "cbp2"])
def test_new_heads_zeroes_the_head_at_each_new_task(config, new_heads, images, tmp_path, monkeypatch):
    zero = []

    def learn(self, x, y, learn=Backprop.learn):
        zero.append(not any(p.count_nonzero() for p in self.net.fc3.parameters()))
        return learn(self, x, y)

    monkeypatch.setattr(Backprop, "learn", learn)
    run_of(tmp_path, images, config, new_heads=new_heads, **REPLACING).execute(train)
    assert zero == [new_heads and i % 9 == 0 for i in range(27)]  # 3 tasks of 3 epochs of 3 minibatches


def test_accuracy_matches_hand_computation():
    class Net:
        def predict(self, x):
            return torch.stack([x, 1 - x], 1), []  # class 0 from 0.5 on

    x = torch.tensor([0.9, 0.8, 0.1, 0.4, 0.6])
    assert accuracy(Net(), x, torch.tensor([0, 1, 1, 1, 1]), batch=2) == 0.6


def test_bfloat16_gives_similar_weights(images, tmp_path):
    _, expected = finished(train, run_of(tmp_path / "a", images, "l2", num_tasks=1, num_showings=1))
    _, found = finished(train, run_of(tmp_path / "b", images, "l2", num_tasks=1, num_showings=1, precision="bfloat16"))
    for name, weight in found["net"].items():
        assert weight.dtype is torch.float32
        assert not torch.equal(weight, expected["net"][name])
        torch.testing.assert_close(weight, expected["net"][name], rtol=0.02, atol=2e-3)


def test_error_names_missing_images_and_the_command_that_creates_them(images, tmp_path):
    command = f"python -m lop.data imagenet --source original --data {images.parents[1]}"
    with refusal(images / "classes/4.npy", command):
        run_of(tmp_path, images, total_classes=6).execute(train)
    assert not list(tmp_path.glob("**/*.parquet"))


def test_network_with_unit_replacing_layers_learns_by_backpropagation(images, tmp_path):
    run = run_of(tmp_path, images, "cbp2")
    net = run_imagenet.make_network(run.spec.parameters)
    learner = run_imagenet.make_learner(run.spec.parameters, net)
    assert type(learner) is Backprop
    assert net.fc3.out_features == 2
    assert net.cbp1.gnt.replacement_rate == 3e-4
