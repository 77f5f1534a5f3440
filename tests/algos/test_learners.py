"""Learners, networks and optimizers against numbers of the published code."""

from contextlib import nullcontext

import numpy as np
import pytest
import torch
from recordings import golden
from refusals import refusal
from torch import nn
from torch.nn import functional as F

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.algos.convCBP import ConvCBP
from lop.nets.conv_net import ConvNet
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.ffnn import FFNN
from lop.nets.linear import MyLinear

ARRAYS, SETTINGS = golden("learners")
CONV, CONV_SETTINGS = golden("conv_cbp")
LEARNING = [case for case, settings in SETTINGS.items() if "net" in settings]
GNT_SETTINGS = ("replacement_rate", "decay_rate", "maturity_threshold", "util_type", "init", "accumulate")


def network(case):
    settings = SETTINGS[case]
    torch.manual_seed(0)
    if settings["net"].startswith("Deep"):
        return DeepFFNN(16, 24, 4, num_hidden_layers=3, act_type=settings["act"])
    return FFNN(20, 5, 1, hidden_activation=settings["act"])


@pytest.mark.parametrize("case", LEARNING)
def test_initial_weights_of_a_seed_match_published_code(case):
    for name, p in network(case).named_parameters():
        np.testing.assert_array_equal(p.detach().numpy(), ARRAYS[f"{case}/init/{name.replace('.', '/')}"])


@pytest.mark.parametrize("case", LEARNING)
def test_training_matches_published_code(case):
    """Compare losses, replaced units, their new weights and the final weights of 400 steps."""
    s, net = SETTINGS[case], network(case)
    torch.manual_seed(1)
    arguments = {"step_size": s["step_size"], "loss": s["loss"], "opt": s["opt"]}
    if "replacement_rate" in s:
        learner = ContinualBackprop(net, **arguments, **{name: s[name] for name in GNT_SETTINGS})
    else:
        learner = Backprop(net, **arguments, weight_decay=s.get("weight_decay", 0))
    weights = [layer.weight.detach() for layer in net.layers if isinstance(layer, nn.Linear)]
    losses, replaced, fresh = [], [], [np.empty(0)]
    for t, (x, y) in enumerate(zip(torch.tensor(ARRAYS[f"{case}/x"]), torch.tensor(ARRAYS[f"{case}/y"]), strict=True)):
        answer = learner.learn(x, y)
        losses.append((answer[0] if s["loss"] == "nll" else answer).item())
        for layer, units in enumerate(getattr(learner, "replaced", [])):
            replaced += [(t, layer, int(unit)) for unit in units]
            fresh += [weights[layer][unit].numpy().copy() for unit in units]
    np.testing.assert_allclose(losses, ARRAYS[f"{case}/loss"], rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.array(replaced).reshape(-1, 3), ARRAYS[f"{case}/replaced"])
    if replaced:
        np.testing.assert_allclose(np.concatenate(fresh), ARRAYS[f"{case}/new_incoming_weights"], rtol=1e-6)
    for name, p in net.named_parameters():
        expected = ARRAYS[f"{case}/final/{name.replace('.', '/')}"]
        np.testing.assert_allclose(p.detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_convolutional_learner_matches_published_code():
    s = CONV_SETTINGS
    torch.manual_seed(0)
    net = ConvNet()
    torch.manual_seed(1)
    settings = ("step_size", "momentum", "opt", "loss", "replacement_rate", "decay_rate", "init", "util_type")
    learner = ConvCBP(net, maturity_threshold=s["maturity_threshold"], **{name: s[name] for name in settings})
    losses, replaced = [], []
    for t, (x, y) in enumerate(zip(CONV["x_uint8"], torch.tensor(CONV["y"]), strict=True)):
        loss, output = learner.learn(torch.tensor(x, dtype=torch.float32) / 255, y)
        losses.append(loss.item())
        replaced += [(t, layer, int(unit)) for layer, units in enumerate(learner.replaced) for unit in units]
    assert output.shape == (8, 2)
    np.testing.assert_allclose(losses, CONV["loss"], rtol=1e-4)
    np.testing.assert_array_equal(replaced, CONV["replaced"])
    for name, p in net.named_parameters():
        total, magnitude = s["final_sum_and_abs_sum"][name]
        assert p.detach().double().abs().sum().item() == pytest.approx(magnitude, rel=1e-4)
        # Weights of opposite signs nearly cancel; their rounding errors, which depend on the processor, do not.
        assert p.detach().double().sum().item() == pytest.approx(total, rel=1e-4, abs=1e-4 + 1e-5 * magnitude)


RECORDED, RECORDED_SETTINGS = golden("recorded")


@pytest.mark.parametrize("case", [case for case in RECORDED_SETTINGS if case.startswith("mlp")])
def test_random_utilities_and_probabilistic_replacement_match_published_code(case):
    torch.manual_seed(0)
    net = DeepFFNN(20, 50, 3, 3)
    torch.manual_seed(1)
    learner = ContinualBackprop(net, **RECORDED_SETTINGS[case])
    rng = np.random.RandomState(0)
    x, y = rng.rand(60, 4, 20).astype(np.float32), rng.randint(0, 3, (60, 4))
    losses, replaced = [], []
    for t in range(60):
        losses.append(learner.learn(torch.tensor(x[t]), torch.tensor(y[t]))[0].item())
        replaced += [(t, layer, int(unit)) for layer, units in enumerate(learner.replaced) for unit in units]
    np.testing.assert_allclose(losses, RECORDED[f"{case}/loss"], rtol=1e-4)
    np.testing.assert_array_equal(replaced, RECORDED[f"{case}/replaced"])


def test_shrink_and_perturb_scales_weights_and_adds_noise_of_the_given_scale():
    """With a loss of 0, a step multiplies weights by 1 - lr * weight_decay and adds noise."""
    torch.manual_seed(0)
    net = MyLinear(300, 200)
    weight, bias = net.layers[0].weight, net.layers[0].bias
    before = weight.detach().clone()
    learner = Backprop(net, step_size=0.1, weight_decay=0.5, to_perturb=True, perturb_scale=0.01)
    x = torch.zeros(1, 300)
    learner.learn(x, net(x).detach())
    noise = weight.detach() - 0.95 * before
    assert noise.std().item() == pytest.approx(0.01, rel=0.02)
    assert abs(noise.mean().item()) < 1e-4
    assert bias.std().item() == pytest.approx(0.01, rel=0.2)


def test_perturbation_is_drawn_layer_by_layer_with_biases_first():
    torch.manual_seed(0)
    net = FFNN(3, 4)
    before = [p.detach().clone() for p in (net.layers[0].bias, net.layers[0].weight, net.layers[2].bias)]
    torch.manual_seed(5)
    Backprop(net, perturb_scale=0.1).perturb()
    torch.manual_seed(5)
    for p, old in zip((net.layers[0].bias, net.layers[0].weight, net.layers[2].bias), before, strict=True):
        torch.testing.assert_close(p.detach(), old + torch.empty(p.shape).normal_(0, 0.1))


@pytest.mark.parametrize("opt", ["sgd", "adam", "adamW"])
def test_one_step_of_each_optimizer_matches_hand_computation(opt):
    """The loss is w^2 at w = 1, so the gradient is 2; the weight decay is 0.5."""
    net = MyLinear(1, 1)
    net.layers[0].weight.data.fill_(1)
    net.layers[0].bias.requires_grad_(False)
    learner = Backprop(net, step_size=0.1, opt=opt, weight_decay=0.5)
    assert learner.learn(torch.ones(1, 1), torch.zeros(1, 1)) == 1
    expected = {"sgd": 1 - 0.1 * (2 + 0.5), "adam": 1 - 0.1, "adamW": (1 - 0.1 * 0.5) - 0.1}
    assert net.layers[0].weight.item() == pytest.approx(expected[opt])


def test_convolutional_learner_returns_the_loss_and_the_outputs_with_both_losses():
    x, y = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    for loss, target in (("nll", y), ("mse", F.one_hot(y).float())):
        net = ConvNet(2, channels=1)
        expected = net(x).detach()
        found, output = ConvCBP(net, loss=loss).learn(x, target)
        assert found.ndim == 0
        torch.testing.assert_close(output, expected)


def test_momentum_matches_hand_computation():
    net = MyLinear(1, 1)
    net.layers[0].weight.data.fill_(1)
    net.layers[0].bias.requires_grad_(False)
    learner = Backprop(net, step_size=0.1, momentum=0.9)
    learner.learn(torch.ones(1, 1), torch.zeros(1, 1))  # w = 1 - 0.2 = 0.8
    learner.learn(torch.ones(1, 1), torch.zeros(1, 1))  # buffer 0.9 * 2 + 1.6 = 3.4
    assert net.layers[0].weight.item() == pytest.approx(0.8 - 0.34)


@pytest.mark.parametrize(
    ("opt", "clear", "cleared"),
    [("sgd", None, False), ("sgd", True, True), ("adam", None, True), ("adam", False, False)],
)
def test_moments_of_replaced_units_are_cleared_on_request_and_by_default_with_adam(opt, clear, cleared):
    torch.manual_seed(0)
    net = FFNN(3, 8)
    settings = {"replacement_rate": 0.5, "maturity_threshold": 1, "accumulate": True, "momentum": 0.9}
    learner = ContinualBackprop(net, opt=opt, clear_optimizer_state=clear, **settings)
    for _ in range(2):
        learner.learn(torch.rand(16, 3), torch.rand(16, 1))
    (units,) = learner.replaced
    assert len(units) == 4
    name = "momentum_buffer" if opt == "sgd" else "exp_avg"
    assert (learner.opt.state[net.layers[0].weight][name][units].abs().sum() == 0) == cleared
    assert (learner.opt.state[net.layers[2].weight][name][:, units].abs().sum() == 0) == cleared


@pytest.mark.parametrize("learner", [Backprop, ContinualBackprop, ConvCBP])
def test_invalid_settings_are_rejected(learner):
    net = FFNN(2)
    with refusal("loss", "l1", "nll", "mse", error=ValueError):
        learner(net, loss="l1")
    with refusal("opt", "rmsprop", "sgd", error=ValueError):
        learner(net, opt="rmsprop")
    with refusal("opt", "adamW", "sgd", error=ValueError) if learner is not Backprop else nullcontext():
        learner(net, opt="adamW")


@pytest.mark.parametrize("scale", [-0.1, float("nan")])
def test_invalid_scale_of_the_perturbation_is_rejected(scale):
    with refusal("perturb_scale", scale, error=ValueError):
        Backprop(FFNN(2), to_perturb=True, perturb_scale=scale)


def test_networks_with_dropout_or_online_normalisation_learn_online():
    """The error decreases on a stream of single examples."""
    for extra in ({"dropout": 0.1}, {"online_norm": (0.99, 0.9)}):
        torch.manual_seed(0)
        net = DeepFFNN(10, 30, 1, num_hidden_layers=2, **extra)
        learner, target = Backprop(net, step_size=0.003), torch.randn(10, 1)
        errors = []
        for _ in range(1500):
            x = torch.randn(1, 10)
            errors.append(learner.learn(x, torch.tanh(x @ target)).item())
        assert np.mean(errors[-300:]) < 0.5 * np.mean(errors[:100]), extra
