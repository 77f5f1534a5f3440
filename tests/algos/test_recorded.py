"""Steps that a GPU repeats by itself compute what they computed before, bit for bit."""

from contextlib import suppress

import pytest
import torch
from torch import nn

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.algos.gnt import GnT
from lop.algos.method import Method
from lop.algos.recorded import Recorded
from lop.nets.conv_net import ConvNet
from lop.nets.ffnn import FFNN

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
SETTINGS = {"step_size": 0.01, "loss": "nll", "momentum": 0.9}


@pytest.fixture(autouse=True)
def deterministic_kernels():
    before, torch.backends.cudnn.deterministic = torch.backends.cudnn.deterministic, True
    yield
    torch.backends.cudnn.deterministic = before


def test_units_observed_before_generate_and_test_are_replaced_alike():
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

    (replaced, *states), (expected, *its_states) = steps(True), steps(False)
    assert replaced == expected
    assert any(replaced)
    for state, its_state in zip(states, its_states, strict=True):
        assert all(torch.equal(torch.as_tensor(its_state[k]), torch.as_tensor(v)) for k, v in tensors(state).items())


def tensors(state):
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


class Nothing(Method):
    """A method of one's own."""

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_what_is_more_than_the_same_kernels_is_not_recorded():
    net = FFNN(5)
    assert not Backprop(net, opt="adam").record()
    assert not Backprop(net, method=Nothing(net)).record()
    assert not ContinualBackprop(net, util_type="random").record()
    assert not ContinualBackprop(net, opt="adam").record()


def learned(learner, record, sizes):
    """Losses, outputs and weights after minibatches of these sizes; every 15th step the output layer is zeroed."""
    if record:
        assert learner.record()
    found = []
    for step, size in enumerate(sizes):
        torch.manual_seed(step)
        x, y = torch.randn(size, 3, 32, 32).cuda(), torch.randint(0, 2, (size,)).cuda()
        x = x.contiguous(memory_format=torch.channels_last)
        found += [answer.clone() for answer in learner.learn(x, y)]
        if step % 15 == 0:
            nn.init.zeros_(learner.net.layers[-1].weight)
    return found + list(learner.net.state_dict().values())


@needs_cuda
@pytest.mark.parametrize("method", ["bp", "snp", "cbp"])
def test_it_computes_the_same_bits(method):
    def learner():
        torch.manual_seed(0)
        net = ConvNet(2).cuda().to(memory_format=torch.channels_last)
        if method == "cbp":
            return ContinualBackprop(
                net, replacement_rate=0.05, maturity_threshold=5, accumulate=True, util_type="contribution", **SETTINGS
            )
        return Backprop(net, weight_decay=1e-3, to_perturb=method == "snp", perturb_scale=1e-3, **SETTINGS)

    sizes = [20, 20, 20, 7] * 8 + [20] * 10 + [7] * 10 + [20] * 10  # with smaller ones at ends, and for long
    told, repeated = learner(), learner()
    torch.cuda.manual_seed(5)
    expected = learned(told, False, sizes)
    torch.cuda.manual_seed(5)
    found = learned(repeated, True, sizes)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    if method == "cbp":
        assert all(torch.equal(a, b) for a, b in zip(repeated.gnt.ages, told.gnt.ages, strict=True))
        assert any(int(ages.min()) < len(sizes) for ages in told.gnt.ages)


@needs_cuda
def test_another_kind_of_step_is_recorded_anew():
    weight = torch.ones(3, device="cuda")
    times = Recorded(lambda x: x * weight[: len(x)])
    for size in (3, 2, 3):
        for number in range(5):
            assert times(torch.full((size,), float(number), device="cuda")).tolist() == [number] * size


@needs_cuda
def test_a_step_that_needs_the_cpu_says_so():
    x = torch.ones(3, device="cuda")
    step = Recorded(lambda x: x.sum().item())
    step(x), step(x)
    with pytest.raises(RuntimeError):
        step(x)
    with suppress(RuntimeError):
        torch.cuda.synchronize()
