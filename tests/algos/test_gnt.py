"""Generate-and-test: published numbers, hand-computed values and properties."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from recordings import golden
from refusals import refusal
from torch import nn

from lop.algos.gnt import GnT, uniform_draw
from lop.algos.redo import ReDo
from lop.algos.unit_statistics import UnitStatistics
from lop.algos.units import hidden_layers
from lop.algos.utilities import UTILITIES
from lop.nets.initialisation import initialise
from lop.nets.mlp import mlp

ARRAYS, SETTINGS = golden("learners")


def perceptron(*sizes):
    torch.manual_seed(0)
    return mlp(sizes[0], sizes[1:-1], sizes[-1], "relu")


def features(net, x):
    """Return the hidden activations and the output of a ReLU network."""
    found, h = [], x
    for module in net:
        h = module(h)
        if isinstance(module, nn.ReLU):
            found.append(h.detach())
    return found, h


def test_redo_resets_the_same_units_as_published_code():
    h = torch.tensor(ARRAYS["redo/features"])  # (samples, layers, units)
    net = perceptron(3, 24, 24, 2)
    redo = ReDo(net, "relu", threshold=SETTINGS["redo"]["threshold"], reset_period=1)
    chosen = redo.replace_units([h[:, 0], h[:, 1]])
    for layer, units in enumerate(chosen):
        np.testing.assert_array_equal(units, ARRAYS[f"redo/units_{layer}"])


def one_layer():
    """Return a network of two hidden units with w_in = [1, -3] and w_out = [[2, 0], [-4, 1]]."""
    net = perceptron(1, 2, 2)
    net[0].weight.data = torch.tensor([[1.0], [-3.0]])
    net[2].weight.data = torch.tensor([[2.0, 0.0], [-4.0, 1.0]])
    return net


# h = [[1, 2], [3, -4]]: mean|h| = [2, 3], mean h = [2, -1], mean|h - mean h| = [1, 3]; mean|w_out| = [3, 0.5]
BY_HAND = {
    "contribution": [6, 1.5],
    "zero_contribution": [3, 1.5],
    "adaptable_contribution": [3, 0.5],
    "feature_by_input": [1, 1],
    "weight": [3, 0.5],
    "adaptation": [1, 1 / 3],
}


@pytest.mark.parametrize("utility", BY_HAND)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])  # the compiled and the torch implementation
def test_utilities_match_hand_computation(utility, dtype):
    units = GnT(one_layer().to(dtype), "relu", None, util_type=utility, replacement_rate=0.01, decay_rate=0.9)
    units.gen_and_test([torch.tensor([[1.0, 2.0], [3.0, -4.0]], dtype=dtype)])
    torch.testing.assert_close(
        units.statistics[0].corrected_utility(), torch.tensor(BY_HAND[utility]), check_dtype=False
    )


@given(
    n_units=st.integers(1, 20),
    batch=st.integers(1, 6),
    utility=st.sampled_from(sorted(set(UTILITIES) - {"random"})),
    decay_rate=st.sampled_from([0.0, 0.5, 0.99]),
    track_mean=st.booleans(),
)
def test_compiled_update_matches_torch(n_units, batch, utility, decay_rate, track_mean):
    net = perceptron(3, n_units, 2)
    compiled = UnitStatistics(hidden_layers(net)[0], decay_rate, utility, 5, track_mean)
    by_torch = UnitStatistics(hidden_layers(net)[0], decay_rate, utility, 5, track_mean)
    for _ in range(5):
        h = torch.randn(batch, n_units)
        compiled.update(h)
        by_torch._update(h)
        net[2].weight.data = torch.randn_like(net[2].weight)  # reallocated weights are detected
        for name, expected in by_torch.named_buffers():
            torch.testing.assert_close(compiled.get_buffer(name), expected, rtol=1e-5, atol=1e-6)


@given(
    channels=st.integers(1, 9),
    utility=st.sampled_from(sorted(set(UTILITIES) - {"random"})),
    decay_rate=st.sampled_from([0.0, 0.5, 0.99]),
    channels_last=st.booleans(),
)
def test_compiled_update_of_convolutions_matches_torch(channels, utility, decay_rate, channels_last):
    layout = torch.channels_last if channels_last else torch.contiguous_format
    modules = [nn.Conv2d(2, channels, 3), nn.Conv2d(channels, 4, 2), nn.Linear(4 * 6, 3)]
    layers = hidden_layers([module.to(memory_format=layout) for module in modules])
    for layer, h in zip(layers, (torch.randn(3, channels, 5, 4), torch.randn(3, 4 * 6)), strict=True):
        compiled, by_torch = (UnitStatistics(layer, decay_rate, utility, 5) for _ in range(2))
        for _ in range(3):
            h = torch.randn_like(h)
            compiled.update(h.contiguous(memory_format=layout) if h.ndim == 4 else h)
            by_torch._update(h.double())  # not compiled
            for name, expected in by_torch.named_buffers():
                torch.testing.assert_close(compiled.get_buffer(name), expected, rtol=1e-5, atol=1e-6)
        arrays = compiled._arrays.arrays if compiled._arrays else ()
        assert bool(arrays) == (h.ndim == 2 or channels_last or channels == 1)


@given(
    n_units=st.integers(1, 12),
    rate=st.floats(0.001, 1.0),
    threshold=st.integers(0, 20),
    utility=st.sampled_from(sorted(UTILITIES)),
    seed=st.integers(0, 1000),
)
@torch.no_grad()
def test_replacement_affects_only_mature_units_at_the_given_rate(n_units, rate, threshold, utility, seed):
    """Check all properties of replacement.

    Immature units stay, new units have no effect on the output, other units do not change, and the number of
    replacements differs by at most 1 from the sum over steps of rate x mature units.
    """
    net = perceptron(3, n_units, 2)
    torch.manual_seed(seed)
    units = GnT(
        net, "relu", None, replacement_rate=rate, maturity_threshold=threshold, util_type=utility, accumulate=True
    )
    owed = replaced = 0.0
    for _ in range(40):
        hidden, _ = features(net, torch.randn(5, 3))
        before = [p.detach().clone() for p in net.parameters()]
        ages = units.statistics[0].ages + 1
        owed += rate * int((ages > threshold).sum())
        (chosen,) = units.gen_and_test(hidden)
        replaced += len(chosen)
        kept = torch.ones(n_units, dtype=torch.bool)
        kept[chosen] = False
        assert len(set(chosen.tolist())) == len(chosen)
        assert (ages[chosen] > threshold).all()
        assert net[2].weight[:, chosen].abs().sum() == 0
        assert (units.statistics[0].ages[chosen] == 0).all()
        assert (units.statistics[0].utility[chosen] == 0).all()
        assert torch.equal(units.statistics[0].ages[kept], ages[kept])
        assert torch.equal(net[0].weight[kept], before[0][kept])
        assert torch.equal(net[2].weight[:, kept], before[2][:, kept])
        assert torch.equal(net[2].bias, before[3])
        if len(chosen):
            x = 100 * torch.randn(7, 3)
            out = net(x)
            net[0].weight[chosen], net[0].bias[chosen] = 5, -3  # their outgoing weights are zero
            assert torch.equal(net(x), out)
    assert abs(replaced - owed) <= 1 + 1e-6


@pytest.mark.parametrize("sizes", [(11, 256), (17, 256), (111, 256), (256, 64)])
@pytest.mark.parametrize("init", ["kaiming", "lecun", "xavier", "orthogonal"])
def test_new_weights_have_the_scale_of_initial_weights(init, sizes):
    net = perceptron(*sizes, 1)
    initialise(net, init, "relu")
    initial, new = net[0].weight, GnT(net, "relu", None, init=init).draws[0](sizes[1])
    rms = [float(weights.detach().square().mean().sqrt()) for weights in (initial, new)]
    assert rms[1] == pytest.approx(rms[0], rel=0.05)


def test_probabilistic_replacement_has_the_expected_rate():
    net = perceptron(2, 10, 1)
    units = GnT(net, "relu", None, replacement_rate=0.02, maturity_threshold=0)
    n = sum(len(units.gen_and_test([torch.rand(4, 10)])[0]) for _ in range(2000))
    assert 330 < n < 470  # binomial(2000, 0.2): 400, standard deviation 18


def test_move_mean_to_bias_preserves_the_mean_output():
    net = one_layer()
    net[2].bias.data.zero_()
    h = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # mean [2, 3]
    mean_output = (net[2](h)).mean(0)
    units = GnT(net, "relu", None, replacement_rate=1, maturity_threshold=0, move_mean_to_bias=True, accumulate=True)
    units.gen_and_test([h])
    torch.testing.assert_close(net[2](torch.zeros(1, 2))[0], mean_output)


@pytest.mark.parametrize("make", [lambda p: torch.optim.Adam(p, 0.1), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)])
def test_clear_optimizer_state_clears_the_state_of_replaced_units(make):
    net = perceptron(3, 4, 2)
    opt = make(net.parameters())
    net(torch.randn(8, 3)).sum().backward()
    opt.step()
    units = GnT(
        net, "relu", opt, replacement_rate=0.25, maturity_threshold=0, accumulate=True, clear_optimizer_state=True
    )
    (chosen,) = units.gen_and_test([torch.rand(8, 4)])
    assert len(chosen) == 1
    for parameter, moments in opt.state.items():
        for tensor in (m for m in moments.values() if m.shape == parameter.shape):
            if parameter is net[2].weight:
                assert tensor[:, chosen].abs().sum() == 0
                assert tensor.abs().sum() > 0
            elif parameter is not net[2].bias:
                assert tensor[chosen].abs().sum() == 0


class MomentumWithStepPerWeight(torch.optim.Optimizer):
    """Optimizer whose state is empty before the first step and has counts like the published `AdamGnT`."""

    def __init__(self, params):
        super().__init__(params, {})

    def step(self):
        for p in self.param_groups[0]["params"]:
            state = self.state[p]
            state["exp_avg"] = state.get("exp_avg", torch.zeros_like(p)) + p.grad
            state["step"] = state.get("step", torch.zeros_like(p)) + 1


@pytest.mark.parametrize(("make", "cleared"), [(MomentumWithStepPerWeight, True), (torch.optim.Adam, False)])
def test_state_of_optimizers_that_count_the_steps_of_each_weight_is_cleared_by_default(make, cleared):
    net = perceptron(3, 4, 2)
    opt = make(net.parameters())
    units = GnT(net, "relu", opt, replacement_rate=0.25, maturity_threshold=0, accumulate=True)
    net(torch.ones(8, 3)).sum().backward()
    opt.step()
    for p in net.parameters():
        opt.state[p]["exp_avg"].fill_(1)
    (chosen,) = units.gen_and_test([torch.ones(8, 4)])
    kept = torch.ones(4)
    if cleared:
        kept[chosen] = 0
    for tensor, expected in ((net[0].weight, kept[:, None]), (net[0].bias, kept), (net[2].weight, kept)):
        assert (opt.state[tensor]["exp_avg"] == expected).all()
    assert (opt.state[net[0].weight]["step"] == (kept[:, None] if cleared else 1)).all()


def test_generate_and_test_without_an_optimizer_replaces_units():
    units = GnT(perceptron(3, 4, 2), "relu", None, replacement_rate=0.5, maturity_threshold=0, accumulate=True)
    assert len(units.gen_and_test([torch.rand(8, 4)])[0]) == 2


@pytest.mark.parametrize("clear", [False, True])
def test_redo_clears_the_optimizer_state_of_reset_units_on_request(clear):
    net = perceptron(3, 4, 2)
    opt = torch.optim.Adam(net.parameters(), 0.1)
    net(torch.ones(8, 3)).sum().backward()
    opt.step()
    redo = ReDo(net, "relu", reset_period=1, opt=opt, clear_optimizer_state=clear)
    for tensor in (opt.state[p]["exp_avg"] for p in net.parameters()):
        tensor.fill_(1)
    (chosen,) = redo.replace_units([torch.tensor([[0.0, 1.0, 0.0, 1.0]])])
    assert chosen.tolist() == [0, 2]
    kept = torch.tensor([0.0, 1.0, 0.0, 1.0]) if clear else torch.ones(4)
    for p, expected in ((net[0].weight, kept[:, None]), (net[0].bias, kept), (net[2].weight, kept), (net[2].bias, 1)):
        assert (opt.state[p]["exp_avg"] == expected).all()


def test_resumed_replacement_equals_uninterrupted_replacement():
    histories = []
    for interrupted in (False, True):
        net = perceptron(3, 6, 2)
        torch.manual_seed(2)
        make = lambda net=net: GnT(net, "relu", None, replacement_rate=0.05, maturity_threshold=3, accumulate=True)  # noqa: E731
        units, history = make(), []
        for step in range(50):
            if interrupted and step == 25:
                state, units = units.state_dict(), make()
                units.load_state_dict(state)
            history.append(units.gen_and_test(features(net, torch.randn(4, 3))[0])[0].tolist())
        histories.append(history)
    assert histories[0] == histories[1]
    assert any(histories[0])


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("replacement_rate", -1),
        ("replacement_rate", 2),
        ("decay_rate", 1),
        ("decay_rate", 1.5),
        ("maturity_threshold", -1),
        ("util_type", "x"),
        ("rate_of", "young"),
    ],
)
def test_invalid_values_are_rejected(argument, value):
    with refusal(argument, value, error=ValueError):
        GnT(perceptron(2, 2, 1), "relu", None, **{argument: value})


@pytest.mark.parametrize(("argument", "value"), [("threshold", -0.5), ("reset_period", 0)])
def test_invalid_values_of_redo_are_rejected(argument, value):
    with refusal(argument, value, error=ValueError):
        ReDo(perceptron(2, 2, 1), "relu", **{argument: value})


def test_resumed_redo_counts_the_updates_before():
    h = [torch.tensor([[0.0, 1.0, 0.0, 1.0]])]
    before, after = (ReDo(perceptron(3, 4, 2), "relu", reset_period=3) for _ in range(2))
    assert not any(len(before.replace_units(h)[0]) for _ in range(2))
    after.load_state_dict(before.state_dict())
    assert after.replace_units(h)[0].tolist() == [0, 2]


@pytest.mark.parametrize("init", ["kaiming", "xavier", "default"])
def test_new_weights_with_selu_have_the_bound_of_lecun(init):
    """It is sqrt(3 / fan_in), which is 1/2 with 12 inputs."""
    (layer,) = hidden_layers(perceptron(12, 4, 1))
    assert 0.499 < uniform_draw(layer, init, "selu")(2_000).abs().max() <= 0.5


def test_network_of_three_linear_layers_has_two_hidden_layers():
    assert len(hidden_layers(perceptron(3, 4, 5, 2))) == 2


def test_newly_matured_units_are_not_preferred_for_replacement():
    """Equally useful units have equal utilities at any age, although the running mean of a young unit is biased."""
    net = perceptron(1, 2, 1)
    net[2].weight.data.fill_(1)
    units = GnT(net, "relu", None, replacement_rate=0.5, maturity_threshold=3, decay_rate=0.99, accumulate=True)
    statistics = units.statistics[0]
    statistics.ages[1], statistics.utility[1] = 500, 1 - 0.99**500  # |h| was 1 for 500 steps
    for _ in range(3):
        assert not len(units.gen_and_test([torch.tensor([[1.01, 1.0]])])[0])  # the young unit is slightly more useful
        units.owed = [0.0]
    for _ in range(2):
        (chosen,) = units.gen_and_test([torch.tensor([[1.01, 1.0]])])
        if len(chosen):
            break
    assert chosen.tolist() == [1]


def test_rate_1_replaces_all_units_and_rate_0_none():
    for n_units in (1, 4):
        net = perceptron(2, n_units, 1)
        everything = GnT(net, "relu", None, replacement_rate=1, maturity_threshold=0, accumulate=True)
        assert sorted(everything.gen_and_test([torch.rand(3, n_units)])[0].tolist()) == list(range(n_units))
        nothing = GnT(net, "relu", None, replacement_rate=0)
        before = [p.clone() for p in net.parameters()]
        assert not len(nothing.gen_and_test([torch.rand(3, n_units)])[0])
        assert nothing.statistics[0].ages.sum() == 0
        assert all(torch.equal(p, q) for p, q in zip(net.parameters(), before, strict=True))


def test_rate_of_all_units_never_replaces_more_than_the_mature_units():
    net = perceptron(2, 4, 1)
    units = GnT(net, "relu", None, replacement_rate=0.5, maturity_threshold=2, accumulate=True, rate_of="all")
    counts = [len(units.gen_and_test([torch.rand(3, 4)])[0]) for _ in range(9)]
    assert counts == [0, 0, 2, 2, 0, 2, 2, 0, 2]  # two per step, as soon as two are mature


def test_copies_are_independent_and_can_be_converted_to_another_dtype():
    net = perceptron(3, 5, 2)
    units = GnT(net, "relu", None, replacement_rate=0.1, maturity_threshold=2, accumulate=True)
    h = torch.rand(4, 5)
    units.gen_and_test([h])
    copy = deepcopy(units)
    copy.gen_and_test([h])
    assert units.statistics[0].ages[0] == 1
    assert copy.statistics[0].ages[0] == 2
    assert copy.layers[0].incoming is not net[0]
    units.double()
    net.double()
    units.gen_and_test([h.double()])
    assert units.statistics[0].ages.dtype == torch.float64
    assert units.statistics[0].ages[0] == 2


def test_ages_of_bfloat16_networks_are_float32():
    net = perceptron(3, 5, 2)
    units = GnT(net, "relu", None, replacement_rate=0.01, maturity_threshold=300, accumulate=True)
    units.statistics[0].ages += 257
    net.bfloat16()
    units.bfloat16()
    h = torch.rand(4, 5).bfloat16()
    counts = [len(units.gen_and_test([h])[0]) for _ in range(100)]
    assert sum(counts) == int(0.05 * (100 - 43))
    assert units.ages[0].dtype == torch.float32


def test_redo_resets_all_units_of_a_dead_layer():
    redo = ReDo(perceptron(6, 16, 3), "relu", reset_period=1)
    assert len(redo.replace_units([torch.zeros(10, 16)])[0]) == 16
    assert len(redo.replace_units([torch.cat([torch.ones(10, 8), torch.zeros(10, 8)], 1)])[0]) == 8
