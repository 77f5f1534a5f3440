import numpy as np
import pytest
import torch

from lop.nets.initialisation import gain, uniform_bound
from lop.nets.mlp import ACTIVATIONS, Backpropagation, mlp
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF


def test_bounds_by_hand():
    assert uniform_bound(4, 12, "default") == 0.5
    assert uniform_bound(3, 9, "lecun", gain("relu")) == 1
    assert uniform_bound(12, 3, "kaiming", gain("ReLU")) == pytest.approx(2**0.5 / 2)
    assert uniform_bound(2, 4, "xavier", gain("tanh")) == pytest.approx(5 / 3)
    with pytest.raises(ValueError, match="Invalid init: 'he'"):
        uniform_bound(1, 1, "he")


@pytest.mark.parametrize("init", ["default", "kaiming", "lecun", "xavier"])
def test_initial_weights_fill_their_bound_and_biases_are_zero(init):
    torch.manual_seed(0)
    policy = MLPPolicy(50, 10, act_type="Tanh", h_dim=(40, 30), init=init)
    layers = [policy.mean_net[i] for i in (0, 2, 4)]
    for layer in layers:
        factor = 5 / 3 if layer is not layers[-1] else 1.0
        bound = uniform_bound(layer.in_features, layer.out_features, init, factor)
        assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert layers[-1].bias.abs().sum() == 0
    assert (layers[0].bias.abs().sum() == 0) == (init != "default")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("columns", [6, 4])
def test_passes_by_hand_are_autograds(activation, columns):
    torch.manual_seed(0)
    net = mlp(6, (5, 4), 3, activation)
    x, gradient = torch.randn(8, 6), torch.randn(8, 3)
    x[:, columns:] = 0
    out = net(x)
    out.backward(gradient)
    expected = [p.grad.clone() for p in net.parameters()]
    by_hand = Backpropagation(net, activation)
    with torch.no_grad():
        for batch in (8, 3, 8):  # other shapes in between leave nothing behind
            found = by_hand.forward(x[:batch, :columns])
            by_hand.backward(gradient[:batch])
    torch.testing.assert_close(found, out)
    for parameter, grad in zip(net.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, grad)


def test_sampling_is_the_distributions(monkeypatch):
    torch.manual_seed(0)
    policy = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8, 7), init="lecun")
    with torch.no_grad():
        policy.log_std += torch.tensor([0.5, 0.0, -0.5])
    observation = np.linspace(-1, 1, 6)
    hidden = [torch.zeros(8), torch.zeros(7)]
    for _ in range(2):
        torch.manual_seed(1)
        action, log_probability = policy.sample(observation, hidden)
        torch.manual_seed(1)
        expected, expected_log, _ = policy.action(torch.tensor(observation, dtype=torch.float32)[None])
        np.testing.assert_allclose(action, expected[0], rtol=1e-5)
        assert log_probability == pytest.approx(expected_log.item(), rel=1e-5)
        torch.testing.assert_close(hidden[1], policy.mean_net[:4](torch.tensor(observation, dtype=torch.float32)))
        with torch.no_grad():
            policy.log_std -= 0.25  # seen by the next sample, as are new weights
            policy.mean_net[0].weight *= 1.5


def test_activations_are_kept_when_asked():
    policy, value = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8, 7)), MLPVF(6, act_type="ReLU", h_dim=(8, 7))
    x = torch.randn(5, 6)
    policy.dist(x, to_log_features=True)
    value.value(x, to_log_features=True)
    policy.dist(2 * x)
    value.value(2 * x)
    for net, activations in ((policy.mean_net, policy.get_activations()), (value.v_net, value.get_activations())):
        torch.testing.assert_close(activations, [net[:2](x), net[:4](x)])


def test_unknown_activation_is_named():
    with pytest.raises(ValueError, match="Invalid activation: 'Swoosh'"):
        MLPVF(3, act_type="Swoosh")


def test_values_have_the_shape_of_a_column():
    assert MLPVF(3, act_type="Tanh", h_dim=()).value(torch.zeros(5, 3)).shape == (5, 1)
