"""AdamGnT against hand-computed steps and torch.optim.Adam."""

import copy
import io

import pytest
import torch
from refusals import refusal

from lop.algos.adam import AdamGnT
from lop.nets.mlp import mlp

SETTINGS = {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.1, "eps": 1e-6}


def train(make, steps=20, reload_at=None):
    torch.manual_seed(0)
    net = mlp(4, (5,), 2, "tanh")
    opt = make(net.parameters())
    for step in range(steps):
        if step == reload_at:
            file = io.BytesIO()
            torch.save(opt.state_dict(), file)
            file.seek(0)
            opt = make(net.parameters())
            opt.load_state_dict(torch.load(file, weights_only=True))
        opt.zero_grad()
        net(torch.randn(6, 4)).square().sum().backward()
        if step % 4 == 3:
            net[0].bias.grad = None
        opt.step()
    return [p.detach() for p in net.parameters()]


@pytest.mark.parametrize(("name", "value"), [("lr", -1), ("betas", (0.9, 1.0)), ("weight_decay", -0.1)])
def test_invalid_values_are_rejected(name, value):
    with refusal(name, value, error=ValueError):
        AdamGnT([torch.nn.Parameter(torch.ones(1))], **{name: value})


def adam_gnt(shape=(3, 2), **settings):
    torch.manual_seed(0)
    p = torch.nn.Parameter(torch.randn(shape))
    return p, AdamGnT([p], lr=0.1, betas=(0.9, 0.99), **settings)


def test_published_bias_correction_matches_hand_computation():
    """w -= lr (1 - b2^t) m / (sqrt(v) + eps); at t = 1, m = 0.1 g and v = 0.01 g^2."""
    p, opt = adam_gnt((1,))
    p.data.fill_(1.0)
    p.grad = torch.tensor([2.0])
    opt.step()
    assert p.item() == pytest.approx(1 - 0.1 * 0.01 * 0.2 / 0.2)
    opt.step()  # m = 0.9 * 0.2 + 0.2 = 0.38, v = 0.99 * 0.04 + 0.04 = 0.0796, 1 - 0.99^2 = 0.0199
    assert p.item() == pytest.approx(0.999 - 0.1 * 0.0199 * 0.38 / 0.0796**0.5)


@pytest.mark.parametrize("weight_decay", [0, 0.1])
def test_corrected_variant_equals_torch_adam(weight_decay):
    p, opt = adam_gnt(corrected=True, weight_decay=weight_decay, eps=0)
    q = torch.nn.Parameter(p.detach().clone())
    expected = torch.optim.Adam([q], lr=0.1, betas=(0.9, 0.99), eps=0, weight_decay=weight_decay)
    for _ in range(20):
        p.grad = q.grad = torch.randn(3, 2)
        opt.step()
        expected.step()
        torch.testing.assert_close(p, q, rtol=1e-5, atol=1e-6)


def test_deep_copy_takes_the_same_step():
    p, opt = adam_gnt(corrected=True)
    p.grad = torch.ones(3, 2)
    q, copied = copy.deepcopy((p, opt))
    q.grad = torch.ones(3, 2)
    opt.step()
    copied.step()
    assert torch.equal(p, q)


def test_state_of_the_published_optimizer_can_be_loaded():
    state = adam_gnt()[1].state_dict()
    del state["param_groups"][0]["corrected"]
    p, opt = adam_gnt()
    opt.load_state_dict(state)
    p.grad = torch.ones(3, 2)
    opt.step()
    assert opt.param_groups[0]["corrected"] is False


def test_steps_are_counted_per_weight():
    """A row whose state is cleared is updated like a new parameter."""
    p, opt = adam_gnt(corrected=True)
    for _ in range(5):
        p.grad = torch.randn(3, 2)
        opt.step()
    for tensor in opt.state[p].values():
        tensor[1] = 0
    fresh = torch.nn.Parameter(p.detach()[1:2].clone())
    new = AdamGnT([fresh], lr=0.1, betas=(0.9, 0.99), corrected=True)
    for _ in range(3):
        p.grad = torch.randn(3, 2)
        fresh.grad = p.grad[1:2]
        opt.step()
        new.step()
    torch.testing.assert_close(p[1:2], fresh)
    assert opt.state[p]["step"].tolist() == [[8, 8], [3, 3], [8, 8]]


def test_amsgrad_keeps_the_largest_second_moment_and_step_returns_the_closure_loss():
    p, opt = adam_gnt(amsgrad=True)
    for scale in (10.0, 0.1):
        p.grad = torch.full((3, 2), scale)
        before = p.sum().item()
        assert opt.step(lambda: p.sum()).item() == before
    assert (opt.state[p]["max_exp_avg_sq"] >= opt.state[p]["exp_avg_sq"]).all()
    assert opt.state[p]["max_exp_avg_sq"].min() == pytest.approx(1.0)
    with refusal("eps", -1, error=ValueError):
        AdamGnT([p], eps=-1)


def test_step_counts_of_bfloat16_parameters_are_exact():
    p = torch.nn.Parameter(torch.randn(3, 2).bfloat16())
    opt = AdamGnT([p], lr=1e-3)
    for _ in range(300):
        p.grad = torch.randn(3, 2).bfloat16()
        opt.step()
    assert opt.state[p]["step"].tolist() == [[300, 300]] * 3
