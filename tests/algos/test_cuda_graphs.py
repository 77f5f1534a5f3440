"""Training steps replayed as CUDA graphs give bit-identical results."""

from contextlib import suppress

import pytest
import torch
from interrupted import same
from torch import nn

from lop.algos.bp import Backprop
from lop.algos.callback import Callback
from lop.algos.cbp import ContinualBackprop
from lop.algos.cuda_graphs import KINDS, GraphedStep
from lop.algos.gnt import GnT
from lop.algos.utilities import UTILITIES
from lop.nets.conv_net import ConvNet
from lop.nets.conv_net2 import ConvNet2
from lop.nets.ffnn import FFNN

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
SETTINGS = {"step_size": 0.01, "loss": "nll", "momentum": 0.9}


@pytest.fixture(autouse=True)
def deterministic_kernels():
    before, torch.backends.cudnn.deterministic = torch.backends.cudnn.deterministic, True
    yield
    torch.backends.cudnn.deterministic = before


def test_observing_units_before_gen_and_test_gives_the_same_replacements():
    def steps(observed):
        torch.manual_seed(0)
        net = FFNN(5, num_features=8, num_outputs=1)
        units = GnT(net.layers, "relu", None, replacement_rate=0.1, maturity_threshold=3, accumulate=True)
        replaced = []
        for seed in range(20):
            torch.manual_seed(seed)
            _, features = net.predict(torch.randn(4, 5))
            if observed:
                units.observe(features)
            replaced += [chosen.tolist() for chosen in units.gen_and_test(features, observed)]
        return replaced, units.state_dict(), net.state_dict()

    assert same(steps(True), steps(False))
    assert any(steps(True)[0])


class Nothing(Callback):
    """Callback that does nothing."""

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


@needs_cuda
def test_steps_that_cannot_be_replayed_are_not_captured():
    net = FFNN(5).cuda()
    assert not Backprop(net, opt="adam").capture()
    assert not Backprop(net, callback=Nothing(net)).capture()
    assert not ContinualBackprop(net, util_type="random").capture()
    assert not ContinualBackprop(net, opt="adam").capture()


def test_steps_on_the_cpu_are_not_captured():
    assert not Backprop(ConvNet(2), **SETTINGS).capture()


def learner_of(method, record, learned_before=False):
    torch.manual_seed(0)
    net = ConvNet(2).cuda().to(memory_format=torch.channels_last)
    if method in UTILITIES:
        units = {"replacement_rate": 0.05, "maturity_threshold": 5, "accumulate": True, "util_type": method}
        learner = ContinualBackprop(net, **units, **SETTINGS)
    else:
        learner = Backprop(net, weight_decay=1e-3, to_perturb=method == "snp", perturb_scale=1e-3, **SETTINGS)
    if learned_before:
        learn(learner, [20, 20])
    assert record == (record and learner.capture())
    return learner


def learn(learner, sizes):
    """Train on minibatches of the given sizes and return losses, outputs and weights.

    The output layer is zeroed every 15 steps, and the step size is halved after 41 steps.
    """
    numbers, found = torch.Generator().manual_seed(1), []
    for step, size in enumerate(sizes):
        x, y = torch.randn(size, 3, 32, 32, generator=numbers), torch.randint(0, 2, (size,), generator=numbers)
        found += [answer.clone() for answer in learner.learn(x.cuda(), y.cuda())]
        if step % 15 == 0:
            nn.init.zeros_(learner.net.layers[-1].weight)
        learner.opt.param_groups[0]["lr"] = 0.01 if step < 40 else 0.005
    return found + list(learner.net.state_dict().values())


@needs_cuda
@pytest.mark.parametrize("method", ["bp", "snp", "contribution", "adaptable_contribution"])
def test_replayed_steps_are_bit_identical_to_uncaptured_steps(method, replays):
    sizes = [20, 20, 7] * 8 + [20] * 10 + [7] * 10 + [20] * 10
    torch.cuda.manual_seed(5)
    uncaptured = learner_of(method, record=False)
    expected = learn(uncaptured, sizes)
    assert not replays
    torch.cuda.manual_seed(5)
    captured = learner_of(method, record=True)
    found = learn(captured, sizes)
    assert {20, 7} == set(replays)
    assert len(replays) > len(sizes) - 15
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    if method in UTILITIES:
        assert same(captured.gnt.state_dict(), uncaptured.gnt.state_dict())
        assert any(int(ages.min()) < len(sizes) for ages in uncaptured.gnt.ages)


@needs_cuda
@pytest.mark.parametrize("method", ["bp", "contribution"])
def test_learner_can_be_captured_after_training_has_begun(method, replays):
    expected = learn(learner_of(method, record=False, learned_before=True), [20] * 6)
    found = learn(learner_of(method, record=True, learned_before=True), [20] * 6)
    assert len(replays) == 4
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@needs_cuda
def test_networks_with_unit_replacing_layers_are_not_captured():
    assert not Backprop(ConvNet2(2).cuda(), **SETTINGS).capture()


@needs_cuda
def test_each_input_shape_has_its_own_graph():
    weight = torch.ones(3, device="cuda")
    times = GraphedStep(lambda x: x * weight[: len(x)])
    for size in (3, 2, 1, 3):
        for number in range(5):
            assert times(torch.full((size,), float(number), device="cuda")).tolist() == [number] * size
    assert len(times._known) == KINDS


@needs_cuda
def test_capturing_a_step_that_synchronises_with_the_cpu_raises():
    x = torch.ones(3, device="cuda")
    step = GraphedStep(lambda x: x.sum().item())
    step(x), step(x)
    with pytest.raises(RuntimeError):
        step(x)
    with suppress(RuntimeError):
        torch.cuda.synchronize()
