"""Plugins: creation, and runs of every problem with a callback, a network and an optimizer that are user-defined."""

import ast
from pathlib import Path

import own_plugins
import pytest
import torch
from interrupted import InterruptedRun, goes_on_after_a_cut
from own_plugins import Own, with_plugins
from refusals import refusal
from torch import nn

from lop.algos.callback import Callback
from lop.algos.keep_plastic import KeepPlasticCallback
from lop.common.plugins import Plugin
from lop.data.sets import ImageSource
from lop.imagenet import run_imagenet
from lop.incremental_cifar import run_cifar
from lop.nets.any_network import AnyNetwork, create, last_linear
from lop.permuted_mnist import run_mnist
from lop.problems import PROBLEMS
from lop.rl import run_ppo
from lop.runs import plugin_parameters
from lop.runs.spec import Conditions, resolve
from lop.slowly_changing_regression import run_regression


def plugin(name, key="callback", module="test_plugins", parameters=(), always=(), **settings):
    return Plugin(key, f"{module}:{name}", settings, dict(parameters), dict(always))


class Unfinished(Callback):
    def state_dict(self):
        return {}


class Sized(nn.Linear):
    def __init__(self, inputs, outputs, width, bias=True):
        super().__init__(inputs, outputs, bias=bias)
        self.width = width


class Picky(Callback):
    def __init__(self, net, strength):
        super().__init__(net)
        self.strength = strength + 1

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def function():
    pass


@pytest.mark.parametrize(
    ("made", "facts"),
    [
        (plugin("Counting", module="own_plugins", factor=-1), ("own_plugins:Counting", "factor", -1)),
        (plugin("Counting", module="own_plugins", power=1), ("callback_settings", "own_plugins:Counting", "factor")),
        (plugin("Unfinished"), ("load_state_dict",)),
        (plugin("function"), ("lop.algos.callback.Callback",)),
        (plugin("Own", module="own_plugins"), ("lop.algos.callback.Callback",)),
        (plugin("Any", module="not_there"), ("not_there",)),
        (plugin("Picky", strength="high"), ("TypeError",)),
    ],
)
def test_unusable_plugin_is_rejected(made, facts):
    with refusal("callback", made.name, *facts):
        made.create(Callback, nn.Linear(2, 1))


def test_required_arguments_are_taken_from_keys_of_the_same_name():
    keys = {"width": 7, "bias": False}
    assert plugin("Sized", "network", parameters=keys).create(nn.Module, 2, 1).width == 7
    made = plugin("Sized", "network", parameters=keys, width=9).create(nn.Module, 2, 1)
    assert made.width == 9
    assert made.bias is not None  # optional arguments are not


def test_optimizer_receives_the_step_size():
    parameters = list(nn.Linear(2, 1).parameters())
    made = plugin("Signed", "optimizer", "own_plugins", always={"lr": 0.1}).create(torch.optim.Optimizer, parameters)
    assert made.param_groups[0]["lr"] == 0.1
    made = plugin("Loose", "optimizer", always={"lr": 0.1}).create(torch.optim.Optimizer, parameters)
    assert made.param_groups[0]["lr"] == 0.1
    with refusal("optimizer", "test_plugins:Fixed", "lr"):
        plugin("Fixed", "optimizer", always={"lr": 0.1}).create(torch.optim.Optimizer, parameters)


class Loose(torch.optim.SGD):
    def __init__(self, params, **more):
        super().__init__(params, **more)


class Fixed(torch.optim.SGD):
    def __init__(self, params):
        super().__init__(params, lr=1)


class Reshaping(nn.Linear):
    """A network that forgets the number of outputs it is asked for."""

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs + 1)


class Shallow(nn.Linear):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)


@pytest.mark.parametrize(("name", "facts"), [("Reshaping", ("(2, 4)", "(2, 3)")), ("Shallow", ("no hidden layer",))])
def test_unusable_network_is_rejected_when_it_is_created(name, facts):
    with refusal("network", f"test_plugins:{name}", *facts):
        create(plugin(name, "network"), 5, 3)


def test_probing_a_network_does_not_change_random_numbers():
    torch.manual_seed(0)
    create(plugin("Own", "network", "own_plugins"), 5, 3)
    drawn = torch.rand(1)
    torch.manual_seed(0)
    Own(5, 3)
    assert torch.equal(torch.rand(1), drawn)


def test_network_without_an_output_layer_is_rejected_where_one_is_needed():
    with refusal("network", "Sequential", "nn.Linear"):
        last_linear(AnyNetwork(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())))


def test_hidden_activations_of_any_network_are_found():
    torch.manual_seed(0)
    net = Own(5, 2, width=3)
    x = torch.randn(4, 5)
    output, hidden = AnyNetwork(net).predict(x)
    torch.testing.assert_close(output, net(x))
    (found,) = hidden
    torch.testing.assert_close(found, nn.Sequential(*list(net)[:4])(x))
    conv = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 2))
    features = []
    AnyNetwork(conv)(torch.randn(2, 3, 5, 5), features)
    assert [tuple(h.shape) for h in features] == [(2, 4, 3, 3)]
    assert last_linear(AnyNetwork(conv)) is conv[-1]


SMALL = {
    "rl": ("ant/std", {"n_steps": 400, "bs": 32, "n_itrs": 1, "n_slices": 2, "to_log": ["pol_weights", "stable_rank"]}),
    "slowly_changing_regression": (
        "flip_one/relu",
        {"num_data_points": 4000, "flip_after": 1000, "to_log": ["weight_magnitude", "gradient_magnitude"]},
    ),
    "permuted_mnist": (
        "bp/std_net",
        {"num_examples": 3000, "change_after": 1000, "to_log": ["dead_units", "ranks", "weight_magnitude"]},
    ),
    "imagenet": (
        "bp_5000",
        {
            "num_tasks": 3,
            "num_showings": 2,
            "total_classes": 4,
            "train_images_per_class": 10,
            "test_images_per_class": 5,
            "mini_batch_size": 5,
        },
    ),
    "incremental_cifar": (
        "retrained_network",
        {
            "total_classes": 4,
            "class_increase": 2,
            "class_increase_frequency": 2,
            "train_images_per_class": 10,
            "validation_images_per_class": 5,
            "test_images_per_class": 5,
            "mini_batch_size": 10,
            "measured_images": 10,
            "use_data_augmentation": False,
        },
    ),
}
STEP_SIZES = {"step_size": 1e-3, "stepsize": 1e-3, "lr": 1e-3}
NO_OPTIMIZER = {"momentum": 0.0, "weight_decay": 0.0}
RUNS = {  # problem: script, steps at which the run is cut, tasks, states of the callbacks
    "rl": (run_ppo, [130], [0], lambda state: state["agent"]["callbacks"]),
    "slowly_changing_regression": (run_regression, [1000], [0, 1, 2, 3], lambda state: state["learner"]["callbacks"]),
    "permuted_mnist": (run_mnist, [500, 1000], [0, 1, 2], lambda state: state["learner"]["callbacks"]),
    "imagenet": (run_imagenet, [1, 2], [0, 1, 2], lambda state: [state["callback"]]),
    "incremental_cifar": (run_cifar, [1], [0, 1], lambda state: [state["callback"]]),
}


def spec_of(problem, source):
    config, small = SMALL[problem]
    fields = PROBLEMS[problem].model.model_fields
    unset = {key: value for key, value in (STEP_SIZES | NO_OPTIMIZER).items() if key in fields}
    conditions = Conditions(ImageSource(source))
    return with_plugins(resolve(PROBLEMS[problem], config, 1, "paper", overrides=small | unset, conditions=conditions))


@pytest.mark.parametrize("problem", RUNS)
def test_run_with_plugins_resumes_exactly_and_reports_every_task(problem, tmp_path, request, monkeypatch):
    monkeypatch.setattr(run_ppo, "WINDOW", 100)
    source = ast.parse(Path(own_plugins.__file__).read_text())  # which is not in lop, where plugins are looked up
    classes = [node for node in source.body if isinstance(node, ast.ClassDef)]
    monkeypatch.setattr(plugin_parameters, "definitions", lambda module, kind: classes)
    script, cuts, tasks, callbacks = RUNS[problem]
    fixture = {"imagenet": "imagenet_images", "incremental_cifar": "cifar_images"}.get(problem, "data")
    folder = request.getfixturevalue(fixture)
    spec = spec_of(problem, "glyphs" if fixture == "data" else "original")
    data = folder if fixture == "data" else folder.parents[1]
    table, state = goes_on_after_a_cut(
        script.train, lambda name: InterruptedRun(spec, tmp_path / name, data=data), saved_at=cuts
    )
    assert table.num_rows
    for found in callbacks(state):
        assert found["tasks"] == tasks
        assert found["steps"] > 0


def test_continual_backpropagation_as_a_callback_replaces_units_and_clears_their_moments():
    torch.manual_seed(0)
    net = AnyNetwork(nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 1)))
    callback = KeepPlasticCallback(net, replacement_rate=0.5, maturity_threshold=1)
    callback.optimizer = torch.optim.Adam(net.parameters())
    for _ in range(4):
        net(torch.randn(3, 5)).sum().backward()
        callback.optimizer.step()
        callback.after_step([])
    outgoing = net.net[2].weight
    replaced = outgoing[0] == 0
    assert 0 < replaced.sum() < 8
    assert (callback.optimizer.state[outgoing]["exp_avg"][0][replaced] == 0).all()
    other = KeepPlasticCallback(net, replacement_rate=0.5, maturity_threshold=1)
    other.load_state_dict(callback.state_dict())
    assert other.plastic.ages[0].tolist() == callback.plastic.ages[0].tolist()
