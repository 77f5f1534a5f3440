"""Generate-and-test against the published code, by hand, and by its properties."""

import numpy as np
import pytest
import torch
from conftest import golden
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from lop.algos.gnt import UTILITIES, GnT
from lop.algos.redo import ReDo
from lop.algos.units import HiddenLayer, hidden_layers
from lop.nets.mlp import mlp

ARRAYS, SETTINGS = golden("generate_and_test")


def perceptron(*sizes):
    torch.manual_seed(0)
    return mlp(sizes[0], sizes[1:-1], sizes[-1], "relu")


def features(net, x):
    """Hidden activations of a ReLU network."""
    found, h = [], x
    for module in net:
        h = module(h)
        if isinstance(module, nn.ReLU):
            found.append(h.detach())
    return found, h


@pytest.mark.parametrize("case", [case for case in SETTINGS if "cbp" in case])
def test_meets_the_published_numbers(case):
    """Losses, replaced units, their new weights and final weights of 400 steps of SGD, for every utility."""
    s = SETTINGS[case]
    sizes = (16, 24, 24, 24, 4) if case.startswith("deep") else (20, 5, 1)
    net = perceptron(*sizes)
    for name, p in net.named_parameters():
        p.data = torch.tensor(ARRAYS[f"{case}/init/layers/{name.replace('.', '/')}"])
    torch.manual_seed(1)
    opt = torch.optim.SGD(net.parameters(), lr=s["step_size"])
    units = GnT(
        net,
        s["act"],
        opt,
        decay_rate=s["decay_rate"],
        replacement_rate=s["replacement_rate"],
        init=s["init"],
        maturity_threshold=s["maturity_threshold"],
        util_type=s["util_type"],
        accumulate=s["accumulate"],
    )
    loss_of = F.cross_entropy if s["loss"] == "nll" else F.mse_loss
    losses, replaced, fresh = [], [], []
    for t, (x, y) in enumerate(zip(torch.tensor(ARRAYS[f"{case}/x"]), torch.tensor(ARRAYS[f"{case}/y"]), strict=True)):
        hidden, out = features(net, x)
        loss = loss_of(out, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        for layer, chosen in enumerate(units.gen_and_test([*hidden, None])):
            replaced += [(t, layer, int(unit)) for unit in chosen]
            fresh += [net[2 * layer].weight.detach()[unit].numpy().copy() for unit in chosen]
    np.testing.assert_allclose(losses, ARRAYS[f"{case}/loss"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.array(replaced).reshape(-1, 3), ARRAYS[f"{case}/replaced"])
    np.testing.assert_allclose(np.concatenate(fresh), ARRAYS[f"{case}/new_incoming_weights"], rtol=1e-6)
    for name, p in net.named_parameters():
        expected = ARRAYS[f"{case}/final/layers/{name.replace('.', '/')}"]
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_redo_resets_the_published_units():
    h = torch.tensor(ARRAYS["redo/features"])  # (samples, layers, units)
    net = perceptron(3, 24, 24, 2)
    redo = ReDo(net, "relu", threshold=SETTINGS["redo"]["threshold"], reset_period=1)
    chosen = redo.gen_and_test([h[:, 0], h[:, 1]])
    for layer, units in enumerate(chosen):
        np.testing.assert_array_equal(units, ARRAYS[f"redo/units_{layer}"])


def one_layer():
    """Two units; w_in = [1, -3], w_out = [[2, 0], [-4, 1]]."""
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
def test_utilities_by_hand(utility):
    units = GnT(one_layer(), "relu", None, util_type=utility, replacement_rate=0.01, decay_rate=0.9)
    units.gen_and_test([torch.tensor([[1.0, 2.0], [3.0, -4.0]])])
    statistics = units.statistics[0]
    torch.testing.assert_close(
        statistics.utility / statistics.bias_correction(), torch.tensor(BY_HAND[utility], dtype=torch.float32)
    )


def test_unit_views_of_every_layer_type():
    conv, next_conv, flat = nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 2), nn.Linear(2 * 4, 5)
    h = torch.arange(2 * 2 * 4, dtype=torch.float32).view(2, 2, 2, 2)  # (batch, units, height, width)
    between = HiddenLayer(conv, next_conv)
    assert between.fold(h).shape == (8, 2, 1)
    assert between.outgoing_weights().shape == (12, 2, 1)
    torch.testing.assert_close(between.fold(h).mean((0, 2)), h.mean((0, 2, 3)))
    torch.testing.assert_close(between.outgoing_weights()[:, 1].sum(), next_conv.weight[:, 1].sum())
    border = HiddenLayer(conv, flat)
    assert border.fold(h.flatten(1)).shape == (2, 2, 4)
    torch.testing.assert_close(border.outgoing_weights()[:, 1].flatten(1), flat.weight[:, 4:])
    for layer in (between, border):
        layer.renew(torch.tensor([1]), lambda n: torch.full((n, 1), 7.0))
        assert conv.weight[1].item() == 7
        assert conv.bias[1].item() == 0
    assert next_conv.weight[:, 1].abs().sum() == 0
    assert next_conv.weight[:, 0].abs().min() > 0
    assert flat.weight[:, 4:].abs().sum() == 0
    assert flat.weight[:, :4].abs().min() > 0


@settings(max_examples=40, deadline=None)
@given(
    n_units=st.integers(1, 12),
    rate=st.floats(0.001, 1.0),
    threshold=st.integers(0, 20),
    utility=st.sampled_from(UTILITIES),
    seed=st.integers(0, 1000),
)
def test_properties_of_replacement(n_units, rate, threshold, utility, seed):
    """Immature units stay; a new unit is silent; others are untouched; the count is rate x mature x steps within 1."""
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
    assert abs(replaced - owed) <= 1


def test_expected_number_of_probabilistic_replacements():
    net = perceptron(2, 10, 1)
    units = GnT(net, "relu", None, replacement_rate=0.02, maturity_threshold=0)
    n = sum(len(units.gen_and_test([torch.rand(4, 10)])[0]) for _ in range(2000))
    assert 330 < n < 470  # binomial(2000, 0.2): 400, standard deviation 18


def test_mean_moves_to_the_next_bias_when_asked():
    net = one_layer()
    net[2].bias.data.zero_()
    h = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # mean [2, 3]
    mean_output = (net[2](h)).mean(0)
    units = GnT(net, "relu", None, replacement_rate=1, maturity_threshold=0, move_mean_to_bias=True, accumulate=True)
    units.gen_and_test([h])
    torch.testing.assert_close(net[2](torch.zeros(1, 2))[0], mean_output)


@pytest.mark.parametrize("make", [lambda p: torch.optim.Adam(p, 0.1), lambda p: torch.optim.SGD(p, 0.1, momentum=0.9)])
def test_optimizer_state_of_replaced_units_is_cleared_when_asked(make):
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


def test_state_is_restored_exactly():
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
        ("maturity_threshold", -1),
        ("util_type", "x"),
    ],
)
def test_impossible_values_are_named(argument, value):
    with pytest.raises(ValueError, match=f"Invalid {argument}: '?{value}"):
        GnT(perceptron(2, 2, 1), "relu", None, **{argument: value})


def test_hidden_layers_of_a_network():
    assert len(hidden_layers(perceptron(3, 4, 5, 2))) == 2
