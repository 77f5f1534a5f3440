import io
import subprocess
import sys

import pytest
import torch

from lop.algos.adam import LeanAdam
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


def test_it_is_torchs_adam():
    expected = train(lambda p: torch.optim.Adam(p, **SETTINGS))
    for a, b in zip(train(lambda p: LeanAdam(p, **SETTINGS)), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_its_state_is_saved_and_restored():
    make = lambda p: LeanAdam(p, **SETTINGS)  # noqa: E731
    for a, b in zip(train(make, reload_at=10), train(make), strict=True):
        assert torch.equal(a, b)


def test_first_step_by_hand():
    """The first step is lr * sign(gradient), whatever the gradient's size."""
    p = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
    opt = LeanAdam([p], lr=0.1)
    p.grad = torch.tensor([5.0, -0.01])
    opt.step()
    torch.testing.assert_close(p.detach(), torch.tensor([0.9, 1.1]), rtol=1e-5, atol=0)


@pytest.mark.parametrize(("name", "value"), [("lr", -1), ("betas", (0.9, 1.0)), ("weight_decay", -0.1)])
def test_impossible_values_are_named(name, value):
    with pytest.raises(ValueError, match=f"Invalid {name}"):
        LeanAdam([], **{name: value})


def test_a_run_does_not_import_torchs_compiler():
    """Starting a run would take 0.8 s longer."""
    script = (
        "import sys, torch; from lop.algos.adam import LeanAdam\n"
        "p = torch.nn.Parameter(torch.ones(2)); p.grad = torch.ones(2)\n"
        "opt = LeanAdam([p]); opt.step(); opt.load_state_dict(opt.state_dict())\n"
        "print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "False\n"
