"""ReLU and 2x2 max pooling in a single pass over memory, for the CPU.

Max pooling and ReLU can be exchanged without changing the result or the gradient. PyTorch's pooling takes a fifth of
the time of a step of `lop.nets.conv_net.ConvNet`: it stores the position of each maximum in eight bytes, and its
backward pass first writes zeros.

The loops compare floats by their bits as integers. This preserves the order of positive floats, and ReLU maps negative
ones to zero.
"""

from typing import Any

import numpy as np
import torch
from numba import njit
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

AS_INTEGERS = {torch.float32: torch.int32, torch.bfloat16: torch.int16}
NOWHERE = 4  # position if none of the four values is positive
WORTH_IT = 200_000  # elements from which the loops are faster; the paper's three layers have at least 204,800


def relu_pool(x: Tensor) -> Tensor:
    """Return max_pool2d(relu(x), 2).

    The compiled loops take x on the CPU in float32 or bfloat16, in the channels-last memory format, with even height
    and width, and with at least `WORTH_IT` elements. All other tensors use PyTorch's functions.

    Args:
        x: feature maps (batch, channels, height, width).

    Returns:
        Pooled feature maps (batch, channels, height // 2, width // 2).
    """
    if isinstance(x, Tensor) and x.numel() >= WORTH_IT and _fits(x):  # x may be a proxy of torch.fx
        return _ReluPool.apply(x)
    return F.relu(F.max_pool2d(x, 2))


def _fits(x: Tensor) -> bool:
    even = x.ndim == 4 and x.shape[2] % 2 == 0 and x.shape[3] % 2 == 0
    on_cpu = x.device.type == "cpu" and x.dtype in AS_INTEGERS
    return even and on_cpu and x.is_contiguous(memory_format=torch.channels_last)


class _ReluPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        n, channels, height, width = x.shape
        pooled = x.new_empty(n, channels, height // 2, width // 2).contiguous(memory_format=torch.channels_last)
        where = torch.empty((n, height // 2, width // 2, channels), dtype=torch.uint8)
        _pool(_integers(x), _integers(pooled), where.numpy())
        ctx.save_for_backward(where)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (where,) = ctx.saved_tensors
        n, channels, height, width = gradient.shape
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        spread = gradient.new_empty(n, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)
        _spread(_integers(gradient), where.numpy(), _integers(spread))
        return spread


def _integers(x: Tensor) -> np.ndarray:
    """Return the bits of x (batch, channels, height, width) as (batch, height, width, channels)."""
    return x.detach().permute(0, 2, 3, 1).view(AS_INTEGERS[x.dtype]).numpy()


@njit(cache=True)
def _pool(x, pooled, where):
    # Constants have the type of the integers, since wider types would halve the number of vector lanes.
    kind = pooled.dtype.type
    lowest = kind(-128 if pooled.itemsize == 2 else -8388608)  # bits of -inf; larger negative integers are NaN
    largest, zero = kind(32767 if pooled.itemsize == 2 else 2147483647), kind(0)
    for i in range(pooled.shape[0]):
        for j in range(pooled.shape[1]):
            for k in range(pooled.shape[2]):
                for c in range(pooled.shape[3]):
                    best, at = zero, np.uint8(NOWHERE)
                    for place in range(4):
                        value = x[i, 2 * j + place // 2, 2 * k + place % 2, c]
                        value = kind(value & largest) if value > lowest else value
                        at = np.uint8(place) if value > best else at
                        best = value if value > best else best
                    pooled[i, j, k, c], where[i, j, k, c] = best, at


@njit(cache=True)
def _spread(gradient, where, out):
    for i in range(gradient.shape[0]):
        for j in range(gradient.shape[1]):
            for k in range(gradient.shape[2]):
                for place in range(4):
                    for c in range(gradient.shape[3]):
                        own = where[i, j, k, c] == place
                        out[i, 2 * j + place // 2, 2 * k + place % 2, c] = gradient[i, j, k, c] if own else 0
