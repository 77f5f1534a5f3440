"""Mean absolute values, by the compiled loops of `lop.algos.loops` where these take the tensors.

They are imported where they are needed: a run that replaces no units starts a fifth of a second sooner without numba.
"""

import torch
from torch import Tensor


def runs_compiled(x: Tensor) -> bool:
    """Whether the loops take this tensor; others go through torch."""
    return x.dtype is torch.float32 and x.device.type == "cpu" and x.is_contiguous()


def column_magnitudes(x: Tensor, centre: Tensor | None = None) -> Tensor:
    """mean_i |x_ij - centre_j|, (columns,), of x (rows, columns) and centre (columns,), on any device."""
    if not runs_compiled(x):
        return (x if centre is None else x - centre).abs().mean(0)
    from lop.algos import loops

    if centre is not None:
        return torch.from_numpy(loops.column_distances(x.numpy(), centre.numpy()))
    out = torch.zeros(x.shape[1])
    loops.add_column_magnitudes(x.numpy(), out.numpy())
    return out


def channel_magnitudes(x: Tensor, centre: Tensor | None = None) -> Tensor:
    """Mean |x - centre| over all axes but the second, (channels,), of x (batch, channels, *space) and centre
    (channels,), on any device."""
    if not runs_compiled(x):  # a view where channels lie last in memory
        return column_magnitudes(x.movedim(1, -1).reshape(-1, x.shape[1]), centre)
    from lop.algos import loops

    if centre is not None:
        x = x - centre.view(-1, *[1] * (x.ndim - 2))
    return torch.from_numpy(loops.channel_magnitudes(x.flatten(2).numpy()))


def row_magnitudes(x: Tensor) -> Tensor:
    """mean_j |x_ij|, (rows,), of x (rows, columns), on any device."""
    if not runs_compiled(x):
        return x.abs().mean(1)
    from lop.algos import loops

    return torch.from_numpy(loops.row_magnitudes(x.numpy()))
