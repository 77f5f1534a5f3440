"""PyTorch's optimizers without the import of `torch._dynamo`.

PyTorch wraps the methods of its optimizers to exclude them from compilation. The wrappers import `torch._dynamo` at
their first call, which takes two seconds. The classes below have the same methods without the wrappers.
"""

from typing import Any

import torch
from torch.optim import Optimizer

from lop._compat import step_without_dynamo, without_dynamo


class Eager(Optimizer):
    """Base class with the unwrapped methods that all optimizers share; list it before PyTorch's class."""

    add_param_group: Any = without_dynamo(Optimizer.add_param_group)
    zero_grad: Any = without_dynamo(Optimizer.zero_grad)
    state_dict: Any = without_dynamo(Optimizer.state_dict)
    load_state_dict: Any = without_dynamo(Optimizer.load_state_dict)


class SGD(Eager, torch.optim.SGD):
    """`torch.optim.SGD` with unwrapped methods."""

    step = step_without_dynamo(torch.optim.SGD)


class Adam(Eager, torch.optim.Adam):
    """`torch.optim.Adam` with unwrapped methods."""

    step = step_without_dynamo(torch.optim.Adam)


class AdamW(Eager, torch.optim.AdamW):
    """`torch.optim.AdamW` with unwrapped methods."""

    step = step_without_dynamo(torch.optim.AdamW)
