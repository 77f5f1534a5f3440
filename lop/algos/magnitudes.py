"""Mean absolute values, computed by the compiled loops of `lop.algos.loops` where these support the tensors.

The loops are imported on first use, which saves runs without unit replacement the fifth of a second that importing
Numba takes.
"""

import torch
from torch import Tensor


def runs_compiled(x: Tensor) -> bool:
    """Return whether the compiled loops support this tensor: contiguous, float32 and on the CPU."""
    return x.dtype is torch.float32 and x.device.type == "cpu" and x.is_contiguous()


def column_magnitudes(x: Tensor, centre: Tensor | None = None) -> Tensor:
    """Return mean_i |x_ij - centre_j|, (columns,), of x (rows, columns) and centre (columns,), 0 if None."""
    if not runs_compiled(x):
        return (x if centre is None else x - centre).abs().mean(0)
    from lop.algos import loops

    if centre is not None:
        return torch.from_numpy(loops.column_distances(x.numpy(), centre.numpy()))
    out = torch.zeros(x.shape[1])
    loops.add_column_magnitudes(x.numpy(), out.numpy())
    return out


def channel_magnitudes(x: Tensor, centre: Tensor | None = None) -> Tensor:
    """Return the mean of |x - centre| over all axes except the second, (channels,).

    Args:
        x: tensor (batch, channels, *space), on any device.
        centre: tensor (channels,); 0 if None.
    """
    if not runs_compiled(x):  # a view if the memory format is channels-last
        return column_magnitudes(x.movedim(1, -1).reshape(-1, x.shape[1]), centre)
    from lop.algos import loops

    if centre is not None:
        x = x - centre.view(-1, *[1] * (x.ndim - 2))
    return torch.from_numpy(loops.channel_magnitudes(x.flatten(2).numpy()))


def row_magnitudes(x: Tensor) -> Tensor:
    """Return mean_j |x_ij|, (rows,), of x (rows, columns), on any device."""
    if not runs_compiled(x):
        return x.abs().mean(1)
    from lop.algos import loops

    return torch.from_numpy(loops.row_magnitudes(x.numpy()))
