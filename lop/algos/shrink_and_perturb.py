"""Shrink and perturb (Ash and Adams 2020, arXiv 1910.08475), applied after every step.

L2 regularisation shrinks all weights, and noise of a small standard deviation is added to them::

    w = (1 - lr * weight_decay) w - lr * gradient + N(0, scale^2)

The optimizer's `weight_decay` does the former, `perturb` the latter.
"""

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def perturb(parameters: Iterable[Tensor], scale: float) -> None:
    """Add Gaussian noise of standard deviation `scale` to parameters in place.

    The noise is drawn parameter by parameter from PyTorch's generator of the parameter's device.
    """
    for p in parameters:
        p += torch.empty(p.shape, dtype=p.dtype, device=p.device).normal_(0, scale)
