"""Torch's optimizers without torch's compiler.

Torch wraps their methods so that its compiler leaves them alone, and imports it to say so at their first use: two
seconds, nearly as much as torch itself, of a run that compiles nothing. These are the same methods, unwrapped.
"""

from typing import Any

import torch
from torch.optim import Optimizer

from lop._compat import step_without_dynamo, without_dynamo


class Eager(Optimizer):
    """The methods that all optimizers share; a base class to stand before torch's or one's own."""

    add_param_group: Any = without_dynamo(Optimizer.add_param_group)
    zero_grad: Any = without_dynamo(Optimizer.zero_grad)
    state_dict: Any = without_dynamo(Optimizer.state_dict)
    load_state_dict: Any = without_dynamo(Optimizer.load_state_dict)


class SGD(Eager, torch.optim.SGD):
    """`torch.optim.SGD`."""

    step = step_without_dynamo(torch.optim.SGD)


class Adam(Eager, torch.optim.Adam):
    """`torch.optim.Adam`."""

    step = step_without_dynamo(torch.optim.Adam)


class AdamW(Eager, torch.optim.AdamW):
    """`torch.optim.AdamW`."""

    step = step_without_dynamo(torch.optim.AdamW)
