"""Measures of plasticity: of hidden activations h (samples, units), of weights, and of any network at once.

Of activations that are not all finite, of a network that has diverged, every measure is NaN.

for layer in measure(net, x):
    print(layer.name, layer.dormant, layer.effective_rank)
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules import activation

from lop.algos.units import CONVOLUTIONS, WEIGHT_LAYERS

ACTIVATIONS = tuple(getattr(activation, name) for name in activation.__all__ if name != "MultiheadAttention")


def singular_values(h: Tensor) -> Tensor:
    """Singular values of h (samples, units) in float64, largest first; all-zero columns add zeros that are left out.

    From the eigenvalues of the Gram matrix in float64: as exact as an SVD in float32, and several times as fast.
    """
    live = h.detach()[:, h.any(0)].double()
    if not live.shape[1]:
        return live.new_zeros(0)
    if not _finite(live):
        return live.new_full((min(live.shape),), np.nan)
    if live.shape[1] > len(live):
        live = live.t()
    return torch.linalg.eigvalsh(_gram(live)).clamp_min(0).sqrt().flip(0)


def _gram(h: Tensor) -> Tensor:
    """h^T h, its lower triangle at least; the CPU's BLAS computes no more than that."""
    if h.device.type != "cpu":
        return h.t() @ h
    from scipy.linalg.blas import dsyrk  # 0.2 s that a run without ranks need not wait

    return torch.from_numpy(np.ascontiguousarray(dsyrk(1.0, h.t().contiguous().numpy().T, trans=1, lower=1)))


def rank(h: Tensor, tolerance: float | None = None) -> float:
    """Number of singular values of h (samples, units) above `tolerance` times the largest.

    The default, the larger side of h times float32's precision, is what `torch.linalg.matrix_rank` takes.
    """
    return _rank(singular_values(h), h, tolerance)


def effective_rank(h: Tensor) -> float:
    """exp of the entropy of the singular values of h divided by their sum (Roy and Vetterli 2007); 0 for zeros."""
    return _effective_rank(singular_values(h))


def approximate_rank(h: Tensor, share: float = 0.99) -> float:
    """Smallest k such that the k largest *squared* singular values of h reach `share` of the sum of all; 0 for zeros.

    Yang et al. 2020 (arXiv 1909.12255).
    """
    return _reaching(singular_values(h) ** 2, share)


def stable_rank(h: Tensor, share: float = 0.99) -> float:
    """Smallest k such that the k largest singular values of h reach `share` of the sum of all (not squared); 0 for
    zeros. This is what the paper's figures call stable rank."""
    return _reaching(singular_values(h), share)


class Ranks(NamedTuple):
    """Whole numbers, but for the effective rank, or NaN."""

    rank: float
    effective_rank: float
    approximate_rank: float
    stable_rank: float


def ranks(h: Tensor) -> Ranks:
    """All ranks of h (samples, units), by one decomposition."""
    values = singular_values(h)
    return Ranks(_rank(values, h), _effective_rank(values), _reaching(values**2, 0.99), _reaching(values, 0.99))


def _finite(h: Tensor) -> bool:
    return bool(h.sum().isfinite())


def _rank(values: Tensor, h: Tensor, tolerance: float | None = None) -> float:
    if not _finite(values):
        return np.nan
    if tolerance is None:
        tolerance = max(h.shape) * torch.finfo(torch.float32).eps
    return int((values > tolerance * values[:1]).sum())


def _effective_rank(values: Tensor) -> float:
    if len(values) == 0:
        return 0.0
    p = values / values.sum()
    return float(torch.special.entr(p).sum().exp())


def _reaching(values: Tensor, share: float) -> float:
    if len(values) == 0:
        return 0
    if not _finite(values):
        return np.nan
    return min(int((values.cumsum(0) / values.sum() < share).sum()) + 1, len(values))


def dead_share(h: Tensor) -> float:
    """Share of units (columns) whose activation is 0 in all samples (rows)."""
    return float((~h.any(0)).float().mean()) if _finite(h) else np.nan


def dormant_share(h: Tensor, threshold: float = 0.01) -> float:
    """Share of units (columns) that are active, h > 0, in at most `threshold` of the samples (rows)."""
    return float(((h > 0).float().mean(0) <= threshold).float().mean()) if _finite(h) else np.nan


def weight_magnitude(weights: Tensor | Iterable[Tensor]) -> float:
    """Mean absolute value of all weights: of one tensor, or of several together."""
    weights = [weights] if isinstance(weights, Tensor) else list(weights)
    return float(sum(w.detach().abs().sum(dtype=torch.float64) for w in weights)) / sum(w.numel() for w in weights)


class LayerPlasticity(NamedTuple):
    """What `measure` tells of one hidden layer."""

    name: str
    units: int
    dead: float  # share of units that are 0 for all samples
    dormant: float  # share of units that are active in at most 1% of the samples
    rank: float
    effective_rank: float
    approximate_rank: float
    stable_rank: float


@contextmanager
def recorded(net: nn.Module, modules: Sequence[str] | None = None) -> Iterator[list[tuple[str, Tensor]]]:
    """Collects (name, activations (..., units)) of every hidden layer in the forward passes of a `with` block.

    Hidden layers are the outputs of the modules named in `modules`; if None, those of the network's activation modules
    (`nn.ReLU`, ...); in a network without any, the inputs of its linear and convolutional layers, but for the first
    that is called.
    """
    by_name = dict(net.named_modules())
    unknown = [name for name in modules or () if name not in by_name]
    if unknown:
        raise ValueError(f"Invalid modules: {', '.join(unknown)} (allowed: {', '.join(filter(None, by_name))})")
    names = modules or [name for name, module in by_name.items() if isinstance(module, ACTIVATIONS)]
    found: list[tuple[str, Tensor]] = []
    weight_layers = [name for name, module in by_name.items() if isinstance(module, WEIGHT_LAYERS)]
    last: list[nn.Module] = []  # layers with weights in the order of their calls

    def keep(name: str, h: Tensor, layer: nn.Module | None) -> None:
        units_second = isinstance(layer, CONVOLUTIONS) and h.ndim > 2
        found.append((name, (h.movedim(1, -1) if units_second else h).detach().clone()))

    def listen(module: nn.Module, inputs: tuple[Tensor, ...], name: str) -> None:
        last.append(module)
        if not names and module is not last[0]:
            keep(name, inputs[0], module)

    hooks = [
        by_name[name].register_forward_hook(lambda m, i, h, name=name: keep(name, h, last[-1] if last else None))
        for name in names
    ]
    hooks += [by_name[name].register_forward_pre_hook(partial(listen, name=name)) for name in weight_layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def measure(net: nn.Module, x: Tensor, modules: Sequence[str] | None = None) -> list[LayerPlasticity]:
    """Measures of every hidden layer of `net` on inputs x (samples, ...), in evaluation mode.

    Every place of a feature map, and every time step of a sequence, counts as a sample. `modules`: see `recorded`.
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with recorded(net, modules) as found:
            net(x)
    finally:
        for module, training in modes.items():
            module.training = training
    return [_measure(name, h.reshape(-1, h.shape[-1])) for name, h in found]


def _measure(name: str, h: Tensor) -> LayerPlasticity:
    return LayerPlasticity(name, h.shape[1], dead_share(h), dormant_share(h), *ranks(h))
