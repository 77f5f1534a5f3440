"""Plugins as users write them, one of each kind, and runs with them."""

from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional as F

from lop.algos.callback import Callback


class Counting(Callback):
    """Count steps and tasks, scale gradients, and add noise to a weight when a task begins."""

    def __init__(self, net, factor):
        super().__init__(net)
        if factor < 0:
            raise ValueError(f"factor must be non-negative, got {factor}")
        self.factor, self.steps, self.tasks, self.seen = factor, 0, [], []

    def new_task(self, number):
        self.tasks.append(number)
        weight = next(self.net.parameters())
        weight.data.add_(torch.randn(weight.shape), alpha=1e-3)

    def before_step(self):
        for parameter in self.net.parameters():
            parameter.grad.mul_(self.factor)

    def after_step(self, hidden):
        self.steps += 1
        self.seen = [tuple(h.shape[1:]) for h in hidden]

    def state_dict(self):
        return {"steps": self.steps, "tasks": self.tasks}

    def load_state_dict(self, state):
        self.steps, self.tasks = state["steps"], list(state["tasks"])


class CReLU(nn.Module):
    def forward(self, x):
        return F.relu(torch.cat((x, -x), -1))


class Own(nn.Sequential):
    """A network without any method of the networks in `lop.nets`."""

    def __init__(self, inputs, outputs, width=6):
        size = inputs if isinstance(inputs, int) else torch.Size(inputs).numel()
        super().__init__(
            nn.Flatten(), nn.Linear(size, width), nn.LayerNorm(width), CReLU(), nn.Linear(2 * width, outputs)
        )


class Signed(torch.optim.Optimizer):
    """SGD on the signs of averaged gradients."""

    def __init__(self, params, lr=1.0, decay=0.9):
        super().__init__(params, {"lr": lr, "decay": decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.lerp_(p.grad, 1 - group["decay"])
                p.sub_(mean.sign(), alpha=group["lr"])


ALL = {
    "callback": "own_plugins:Counting",
    "callback_settings": {"factor": 0.5},
    "network": "own_plugins:Own",
    "network_settings": {"width": 4},
    "optimizer": "own_plugins:Signed",
    "optimizer_settings": {"decay": 0.5},
}


def with_plugins(spec, **others):
    """Return a run with all three plugins, without validation, since cfg files only accept plugins in `lop`."""
    return replace(spec, parameters=spec.parameters.model_copy(update=ALL | others))
