"""Dropout and online normalisation of the compiled learner against torch's layers."""

import numpy as np
import pytest
import torch
from refusals import refusal
from test_learner import _flush_denormals, network, side_by_side  # noqa: F401 (a fixture)
from torch import nn

from lop.algos.bp import Backprop
from lop.algos.examples import examples
from lop.engines.generator import seeded
from lop.engines.online.learner import OnlineLearner
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.online_norm import OnlineNorm


@pytest.mark.parametrize(
    ("activation", "opt", "weight_decay"),
    [("relu", "sgd", 0.0), ("tanh", "sgd", 0.01), ("swish", "adam", 0.0), ("elu", "adam", 0.01)],
)
def test_online_normalisation_matches_the_torch_layer(activation, opt, weight_decay):
    torch.manual_seed(0)
    net = DeepFFNN(10, 11, 1, num_hidden_layers=3, act_type=activation, online_norm=(0.9, 0.8))
    settings = {"step_size": 0.003, "opt": opt, "weight_decay": weight_decay}
    _, compiled = side_by_side(
        net, lambda net: Backprop(net, **settings), activation=activation, online_norm=(0.9, 0.8), **settings
    )
    norms = [module for module in net.layers if isinstance(module, OnlineNorm)]
    for layer, norm in enumerate(norms):
        rows = compiled._rows(layer)
        for found, expected in (
            (rows.scales[0], norm.weight),
            (rows.shifts[0], norm.bias),
            (compiled._units(compiled.state.norm_mean, layer), norm.running_mean),
            (compiled._units(compiled.state.norm_var, layer), norm.running_var),
            (compiled._units(compiled.state.output_error, layer), norm.output_error),
            (compiled._units(compiled.state.mean_error, layer), norm.mean_error),
        ):
            np.testing.assert_allclose(found, expected.detach(), rtol=5e-3, atol=2e-4)
    x = torch.randn(50, 10)
    net.eval()
    with torch.no_grad():
        for found, expected in zip(compiled.hidden(x.numpy()), net.predict(x)[1], strict=True):
            np.testing.assert_allclose(found, expected, rtol=5e-3, atol=1e-3)


def test_outliers_are_clamped_and_have_no_gradient():
    """With mean 0 and variance 1, a pre-activation of 100 becomes 5 and has no gradient."""
    layers = [(np.full((1, 1), 100.0, np.float32), np.zeros(1, np.float32))]
    layers += [(np.ones((1, 1), np.float32), np.zeros(1, np.float32))]
    learner = OnlineLearner(layers, seeded(0), 0.1, online_norm=(0.9, 0.9))
    losses, _ = learner.learn(examples(np.ones((1, 1)), np.zeros(1)), np.array([0]))
    assert losses[0] == 25
    assert learner.layer(0)[0][0, 0] == 100
    assert learner.layer(1)[0][0, 0] == pytest.approx(1 - 0.1 * 2 * 5 * 5)


class Masked(nn.Module):
    """Network whose hidden activations are multiplied by given masks."""

    def __init__(self, net):
        super().__init__()
        self.layers, self.masks = net.layers, []

    def predict(self, h):
        linear = [module for module in self.layers if isinstance(module, nn.Linear)]
        act = next(module for module in self.layers if not isinstance(module, nn.Linear | nn.Dropout))
        for layer, mask in zip(linear, self.masks, strict=False):
            h = act(layer(h)) * mask
        return linear[-1](h), []


@pytest.mark.parametrize(("activation", "opt"), [("relu", "sgd"), ("tanh", "sgd"), ("sigmoid", "adam"), ("elu", "sgd")])
def test_dropped_units_have_no_output_and_no_gradient(activation, opt):
    """With the dropout masks of the compiled learner, torch computes the same losses and weights."""
    torch.manual_seed(0)
    net = DeepFFNN(10, 12, 4, num_hidden_layers=2, act_type=activation, dropout=0.3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 10)).astype(np.float32)
    y = rng.integers(0, 4, 300)
    settings = {"step_size": 0.01, "opt": opt, "loss": "nll"}
    compiled = OnlineLearner(network(net), seeded(1), activation=activation, dropout=0.3, **settings)
    masked = Masked(net)
    learner, stream, kept = Backprop(masked, **settings), examples(x, y), []
    for t in range(300):
        losses, _ = compiled.learn(stream, np.array([t]))
        masks = [compiled._units(compiled.state.kept, layer).copy() for layer in (0, 1)]
        masked.masks = [torch.tensor(mask) for mask in masks]
        loss, _ = learner.learn(torch.tensor(x[t : t + 1]), torch.tensor(y[t : t + 1]))
        assert losses[0] == pytest.approx(loss.item(), rel=2e-3, abs=1e-5)
        kept.append(masks)
    for index, (weights, biases) in enumerate(network(net)):
        np.testing.assert_allclose(compiled.layer(index)[0], weights, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(compiled.layer(index)[1], biases, rtol=1e-3, atol=1e-4)
    kept = np.array(kept)  # (examples, layers, units)
    assert np.unique(kept).tolist() == [0, np.float32(1) / (np.float32(1) - np.float32(0.3))]
    assert (kept > 0).mean() == pytest.approx(0.7, abs=0.02)
    assert abs(np.corrcoef(kept.reshape(300, -1).T > 0)[np.triu_indices(24, 1)]).max() < 0.3
    net.eval()
    with torch.no_grad():
        for found, expected in zip(compiled.hidden(x), net.predict(torch.tensor(x))[1], strict=True):
            np.testing.assert_allclose(found, expected.detach(), rtol=1e-3, atol=1e-3)


def test_chunked_and_resumed_learning_equals_uninterrupted_learning():
    layers = network(DeepFFNN(10, 9, 3, num_hidden_layers=2))
    rng = np.random.default_rng(0)
    stream, order = examples(rng.random((50, 10)), rng.integers(0, 3, 50)), rng.integers(0, 50, 500)
    settings = {"step_size": 0.01, "loss": "nll", "dropout": 0.2, "online_norm": (0.99, 0.9)}
    whole = OnlineLearner(layers, seeded(3), **settings)
    expected, _ = whole.learn(stream, order)
    first = OnlineLearner(layers, seeded(3), **settings)
    losses = [first.learn(stream, order[:123])[0]]
    second = OnlineLearner(layers, seeded(4), **settings)
    second.load_state_dict(first.state_dict())
    losses.append(second.learn(stream, order[123:])[0])
    np.testing.assert_array_equal(np.concatenate(losses), expected)
    for name, array in whole.state._asdict().items():
        np.testing.assert_array_equal(getattr(second.state, name), array, err_msg=name)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"dropout": 1.0}, ("dropout", 1.0)),
        ({"online_norm": (1.0, 0.9)}, ("online_norm", 1.0)),
        ({"dropout": 0.1, "replacement_rate": 0.1}, ("replacement_rate", "dropout")),
        ({"online_norm": (0.9, 0.9), "replacement_rate": 0.1}, ("replacement_rate", "online_norm")),
    ],
)
def test_invalid_settings_are_rejected(settings, facts):
    with refusal(*facts, error=ValueError):
        OnlineLearner(network(DeepFFNN(3, 2, 1)), seeded(0), 0.1, **settings)
