"""Online normalisation."""

import numpy as np
import pytest
import torch
from refusals import refusal
from torch import nn

from lop.nets.online_norm import OnlineNorm


def by_definition(x, gradient, a_f, a_b, eps):
    """Evaluate the equations of lop/nets/online_norm.py for x and gradient (batch, units, space), sample by sample."""
    units = x.shape[1]
    mean, var, e_y, e_1 = np.zeros(units), np.ones(units), np.zeros(units), np.zeros(units)
    outputs, gradients, scales = [], [], []
    for sample in x:
        scales.append(np.sqrt(var + eps))
        outputs.append((sample - mean[:, None]) / scales[-1][:, None])
        m = sample.mean(1)
        var = a_f * var + (1 - a_f) * sample.var(1) + a_f * (1 - a_f) * (m - mean) ** 2
        mean = a_f * mean + (1 - a_f) * m
    for y, scale, g in zip(outputs, scales, gradient, strict=True):
        freed = g - (1 - a_b) * e_y[:, None] * y
        e_y = e_y + (freed * y).mean(1)
        gradients.append(freed / scale[:, None] - (1 - a_b) * e_1[:, None])
        e_1 = e_1 + gradients[-1].mean(1)
    return np.stack(outputs), np.stack(gradients), mean, var


def test_two_steps_match_hand_computation():
    norm = OnlineNorm(1, alpha_forward=0.5, alpha_backward=0.5, eps=0.0, affine=False, clamp=None)
    x = torch.tensor([[2.0]], requires_grad=True)
    y = norm(x)  # mean 0, variance 1
    assert y.item() == 2
    assert norm.running_mean.item() == 1
    assert norm.running_var.item() == 0.5 + 0.25 * 4
    y.backward(torch.tensor([[3.0]]))
    assert x.grad.item() == 3  # nothing accumulated yet; now e_y = 3 * 2, e_1 = 3
    x = torch.tensor([[1.0 + 1.5**0.5]], requires_grad=True)
    y = norm(x)
    assert y.item() == pytest.approx(1)
    y.backward(torch.tensor([[4.0]]))
    assert x.grad.item() == pytest.approx((4 - 0.5 * 6 * 1) / 1.5**0.5 - 0.5 * 3)


@pytest.mark.parametrize("space", [(), (3,), (2, 3)])
def test_batch_is_normalised_like_consecutive_samples(space):
    rng = np.random.default_rng(0)
    x, gradient = rng.normal(2, 3, (6, 4, *space)), rng.normal(size=(6, 4, *space))
    norm = OnlineNorm(4, 0.9, 0.8, affine=False, clamp=None).double()
    tensor = torch.tensor(x, requires_grad=True)
    out = norm(tensor)
    out.backward(torch.tensor(gradient))
    flat = (6, 4, -1)
    outputs, gradients, mean, var = by_definition(x.reshape(flat), gradient.reshape(flat), 0.9, 0.8, 1e-5)
    np.testing.assert_allclose(out.detach().reshape(flat), outputs, rtol=1e-12)
    np.testing.assert_allclose(tensor.grad.reshape(flat), gradients, rtol=1e-12)
    np.testing.assert_allclose(norm.running_mean, mean)
    np.testing.assert_allclose(norm.running_var, var)


def test_stream_is_normalised_and_evaluation_does_not_change_the_state():
    torch.manual_seed(0)
    norm = OnlineNorm(2, 0.99)
    outputs = [norm(torch.randn(1, 2) * torch.tensor([5.0, 0.1]) + torch.tensor([3.0, -7.0])) for _ in range(3000)]
    late = torch.cat(outputs[1000:]).detach()
    torch.testing.assert_close(late.mean(0), torch.zeros(2), atol=0.05, rtol=0)
    torch.testing.assert_close(late.std(0), torch.ones(2), atol=0.1, rtol=0)
    state = {name: tensor.clone() for name, tensor in norm.state_dict().items()}
    norm.eval()
    norm(torch.randn(3, 2))
    assert all(torch.equal(tensor, norm.state_dict()[name]) for name, tensor in state.items())
    assert norm(torch.tensor([[1e6, -1e6]])).tolist() == [[5, -5]]  # clamped


def test_scale_and_bias_are_learned_and_invalid_settings_are_rejected():
    norm = OnlineNorm(3)
    nn.Sequential(norm, nn.Linear(3, 1))(torch.randn(4, 3)).sum().backward()
    assert norm.weight.grad.abs().sum() > 0
    assert norm.bias.grad.abs().sum() > 0
    for alpha in (1, 1.5):
        with refusal("alpha_forward", alpha, error=ValueError):
            OnlineNorm(3, alpha_forward=alpha)
