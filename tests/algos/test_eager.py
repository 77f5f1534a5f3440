"""Optimizers without torch._dynamo against torch's own optimizers."""

import subprocess
import sys

import pytest
import torch
from refusals import refusal
from test_adam import train

from lop.algos import eager

CASES = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.01},
    "AdamW": {"lr": 0.01, "betas": (0.9, 0.99), "weight_decay": 0.01},
}


@pytest.mark.parametrize("name", CASES)
def test_optimizers_are_bit_identical_to_torch(name):
    ours, torchs = getattr(eager, name), getattr(torch.optim, name)
    expected = train(lambda p: torchs(p, **CASES[name]))
    for reload_at in (None, 10):
        for a, b in zip(train(lambda p: ours(p, **CASES[name]), reload_at=reload_at), expected, strict=True):
            assert torch.equal(a, b)


def test_parameter_groups_hooks_and_closures_work_as_in_torch():
    p, q = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = eager.SGD([p], lr=0.1)
    optimizer.add_param_group({"params": [q], "lr": 1.0})
    seen = []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))

    def closure():
        loss = (p + q).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 4
    assert seen == ["before"]
    torch.testing.assert_close(p.detach(), torch.full((2,), 0.9))
    torch.testing.assert_close(q.detach(), torch.zeros(2))
    with refusal("parameter group", error=ValueError):
        optimizer.add_param_group({"params": [p]})
    assert len(optimizer.param_groups) == 2


@pytest.mark.parametrize("name", CASES)
def test_differentiable_step_matches_torch(name):
    def gradient_through_a_step(make):
        torch.manual_seed(0)
        w = torch.nn.Parameter(torch.randn(3))
        p = w.clone()
        p.grad = w.square()
        make([p], lr=0.1, differentiable=True).step()
        return torch.autograd.grad(p.sum(), w)[0]

    assert torch.equal(*map(gradient_through_a_step, (getattr(eager, name), getattr(torch.optim, name))))


def test_optimizers_do_not_import_torch_dynamo():
    """The import would delay the start of every run by two seconds."""
    script = """if True:
        import sys, torch
        from lop.algos.adam import AdamGnT
        from lop.algos.eager import SGD, Adam, AdamW

        for optimizer in (SGD, Adam, AdamW, AdamGnT):
            p = torch.nn.Parameter(torch.ones(2))
            opt = optimizer([p])
            opt.zero_grad()
            p.sum().backward()
            opt.step()
            opt.load_state_dict(opt.state_dict())
            assert "torch._dynamo" not in sys.modules, optimizer
        """
    subprocess.run([sys.executable, "-c", script], check=True)
