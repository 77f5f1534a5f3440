"""Torch's optimizers without torch's compiler.

Torch wraps their methods so that its compiler leaves them alone, and imports it to say so at their first use: two
seconds, nearly as much as torch itself, of a run that compiles nothing. These are the same methods, unwrapped.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import Any

import torch
from torch.optim import Optimizer


class Eager(Optimizer):
    """The methods that all optimizers share; a base class to stand before torch's or one's own."""

    add_param_group: Any = unwrap(Optimizer.add_param_group)
    zero_grad: Any = unwrap(Optimizer.zero_grad)
    state_dict: Any = unwrap(Optimizer.state_dict)
    load_state_dict: Any = unwrap(Optimizer.load_state_dict)


def _step_of(optimizer: type[Optimizer]) -> Any:
    torchs = unwrap(optimizer.step)

    def step(self: Optimizer, closure: Callable | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return torchs(self, closure)

    return step


class SGD(Eager, torch.optim.SGD):
    """`torch.optim.SGD`."""

    step = _step_of(torch.optim.SGD)


class Adam(Eager, torch.optim.Adam):
    """`torch.optim.Adam`."""

    step = _step_of(torch.optim.Adam)


class AdamW(Eager, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    step = _step_of(torch.optim.AdamW)
