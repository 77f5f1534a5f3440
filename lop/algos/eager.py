"""Torch's optimizers without torch's compiler.

Torch wraps their methods so that its compiler leaves them alone, and imports it to say so at their first use: two
seconds, nearly as much as torch itself, of a run that compiles nothing. These are the same methods, unwrapped.
"""

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


class SGD(Eager, torch.optim.SGD):
    """`torch.optim.SGD`."""

    step: Any = torch.no_grad()(unwrap(torch.optim.SGD.step))


class Adam(Eager, torch.optim.Adam):
    """`torch.optim.Adam`."""

    step: Any = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(Eager, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    step: Any = torch.no_grad()(unwrap(torch.optim.AdamW.step))
