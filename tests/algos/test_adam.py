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
            state, opt = opt.state_dict(), make(net.parameters())
            opt.load_state_dict(state)
        opt.zero_grad(set_to_none=step % 3 == 0)
        net(torch.randn(6, 4)).square().sum().backward()
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


def test_several_groups_and_missing_gradients():
    torch.manual_seed(0)
    a, b = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    opt = LeanAdam([{"params": [a], "lr": 0.1}, {"params": [b], "lr": 0.2}])
    for _ in range(3):
        a.grad, b.grad = torch.ones(2), torch.ones(2)
        opt.step()
    torch.testing.assert_close(1 - b.detach(), 2 * (1 - a.detach()))
    b.grad, before = None, b.detach().clone()
    opt.step()
    assert torch.equal(b, before)
