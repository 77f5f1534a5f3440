"""Measures of plasticity: statistics of hidden activations h (samples, units) and of weights.

All functions accept NumPy arrays and PyTorch tensors on any device, and compute on the CPU. If some activations are
not finite, for example after divergence, the result is NaN.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor


def array(x: Array) -> np.ndarray:
    """Return a tensor as an array without importing PyTorch; arrays are returned unchanged."""
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def singular_values(h: Array) -> np.ndarray:
    """Return the singular values of h in float64, in descending order, without those of columns that are all zero.

    They are computed from the eigenvalues of the Gram matrix in float64, which is as accurate as an SVD in float32 and
    several times as fast.

    Args:
        h: activations (samples, units).
    """
    h = array(h)
    live = h[:, h.any(0)].astype(np.float64)
    if not live.shape[1]:
        return np.zeros(0)
    if not _finite(live):
        return np.full(min(live.shape), np.nan)
    from scipy.linalg import blas  # imported on use: takes 0.2 s

    transposed = live.shape[1] > len(live)
    # `dsyrk` computes one triangle of the Gram matrix, and `eigvalsh` reads only that.
    gram = blas.dsyrk(1.0, live.T, trans=transposed, lower=1)
    return np.sqrt(np.linalg.eigvalsh(gram).clip(0))[::-1]


def rank(h: Array, tolerance: float | None = None) -> float:
    """Return the number of singular values of h above `tolerance` times the largest.

    Args:
        h: activations (samples, units).
        tolerance: relative tolerance. The default is that of `torch.linalg.matrix_rank`: the larger dimension of h
            times the machine epsilon of float32.
    """
    return _rank(singular_values(h), h, tolerance)


def effective_rank(h: Array) -> float:
    """Return the exponential of the entropy of the normalised singular values of h; 0 if h is zero.

    Source: Roy and Vetterli 2007.

    Args:
        h: activations (samples, units).
    """
    return _effective_rank(singular_values(h))


def approximate_rank(h: Array, fraction: float = 0.99) -> float:
    """Return the smallest k such that the k largest squared singular values reach a fraction of their sum.

    If h is zero, the result is 0. Source: Yang et al. 2020 (arXiv 1909.12255).

    Args:
        h: activations (samples, units).
        fraction: fraction of the sum of the squared singular values.
    """
    return _reaching(singular_values(h) ** 2, fraction)


def stable_rank(h: Array, fraction: float = 0.99) -> float:
    """Return the smallest k such that the k largest singular values, not squared, reach a fraction of their sum.

    If h is zero, the result is 0. The paper's figures call this the stable rank.

    Args:
        h: activations (samples, units).
        fraction: fraction of the sum of the singular values.
    """
    return _reaching(singular_values(h), fraction)


class Ranks(NamedTuple):
    """Four ranks: integers, except for the effective rank, or NaN."""

    rank: float
    effective_rank: float
    approximate_rank: float
    stable_rank: float


def ranks(h: Array) -> Ranks:
    """Return all ranks of h (samples, units), computed from one decomposition."""
    values = singular_values(h)
    return Ranks(_rank(values, h), _effective_rank(values), _reaching(values**2, 0.99), _reaching(values, 0.99))


def dead_fraction(h: Array) -> float:
    """Return the fraction of units (columns of h) whose activation is 0 in all samples (rows)."""
    h = array(h)
    return float((~h.any(0)).mean()) if _finite(h) else np.nan


def activity(h: Array) -> np.ndarray:
    """Return the fraction of samples in which each unit is active, h > 0.

    Args:
        h: activations `(samples, units, *space)`, such as feature maps, whose positions count as samples.

    Returns:
        Fractions (units,) float32; all NaN if h is not finite.
    """
    axes = (0, *range(2, h.ndim))
    samples = prod(h.shape) // h.shape[1]
    fractions = array((h > 0).sum(axes)).astype(np.float32) / np.float32(samples)
    return fractions if _finite(h) else np.full_like(fractions, np.nan)


def dormant_fraction(h: Array, threshold: float = 0.01) -> float:
    """Return the fraction of units that are active, h > 0, in at most a fraction `threshold` of the samples.

    Args:
        h: activations `(samples, units, *space)`.
        threshold: fraction of the samples.
    """
    active = activity(h)
    return float((active <= np.float32(threshold)).mean()) if _finite(active) else np.nan


def weight_magnitude(weights: Array | Sequence[Array]) -> float:
    """Return the mean absolute value of all weights in an array or a sequence of arrays."""
    arrays = [array(w) for w in weights] if isinstance(weights, list | tuple) else [array(weights)]
    return float(sum(np.abs(w).sum(dtype=np.float64) for w in arrays)) / sum(w.size for w in arrays)


def _finite(h: Array) -> bool:
    with np.errstate(invalid="ignore"):  # the sum of inf and -inf
        total = h.double().sum() if hasattr(h, "double") else h.sum(dtype=np.float64)
    return bool(np.isfinite(array(total)))


def _rank(values: np.ndarray, h: Array, tolerance: float | None = None) -> float:
    if not _finite(values):
        return np.nan
    if tolerance is None:
        tolerance = max(h.shape) * float(np.finfo(np.float32).eps)
    return int((values > tolerance * values[:1]).sum())


def _effective_rank(values: np.ndarray) -> float:
    if len(values) == 0:
        return 0.0
    p = values / values.sum()
    p = p[p > 0] if _finite(p) else p  # 0 log 0 = 0
    return float(np.exp(-(p * np.log(p)).sum()))


def _reaching(values: np.ndarray, fraction: float) -> float:
    if len(values) == 0:
        return 0
    if not _finite(values):
        return np.nan
    return min(int((values.cumsum() / values.sum() < fraction).sum()) + 1, len(values))
