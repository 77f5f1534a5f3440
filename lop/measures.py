"""Measures of plasticity, of hidden activations h (samples, units) and of weights.

They take NumPy arrays or tensors of torch, on any device, and compute on the CPU in float64. If activations are not all
finite, as in a network that has diverged, every measure is NaN.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, NamedTuple

import numpy as np

Array = Any  # numpy.ndarray or torch.Tensor


def array(x: Array) -> np.ndarray:
    """Return a tensor as an array, without importing torch; arrays are returned as they are."""
    return x.detach().cpu().numpy() if hasattr(x, "detach") else np.asarray(x)


def singular_values(h: Array) -> np.ndarray:
    """Singular values of h (samples, units) in float64, largest first, without those of columns that are all zero.

    They are computed from the eigenvalues of the Gram matrix in float64, which is as exact as an SVD in float32 and
    several times as fast.
    """
    h = array(h)
    live = h[:, h.any(0)].astype(np.float64)
    if not live.shape[1]:
        return np.zeros(0)
    if not _finite(live):
        return np.full(min(live.shape), np.nan)
    from scipy.linalg import blas  # 0.2 s of the start of a run

    transposed = live.shape[1] > len(live)
    # `dsyrk` computes one triangle of h^T h, and `eigvalsh` reads no more.
    gram = blas.dsyrk(1.0, live.T, trans=not transposed, lower=1)
    return np.sqrt(np.linalg.eigvalsh(gram).clip(0))[::-1]


def rank(h: Array, tolerance: float | None = None) -> float:
    """Number of singular values of h (samples, units) above `tolerance` times the largest.

    The default is that of `torch.linalg.matrix_rank`: the larger side of h times the precision of float32.
    """
    return _rank(singular_values(h), h, tolerance)


def effective_rank(h: Array) -> float:
    """exp of the entropy of the singular values of h divided by their sum (Roy and Vetterli 2007); 0 for zeros."""
    return _effective_rank(singular_values(h))


def approximate_rank(h: Array, fraction: float = 0.99) -> float:
    """Smallest k such that the k largest *squared* singular values of h reach `fraction` of the sum of all.

    It is 0 for zeros. Source: Yang et al. 2020 (arXiv 1909.12255).
    """
    return _reaching(singular_values(h) ** 2, fraction)


def stable_rank(h: Array, fraction: float = 0.99) -> float:
    """Smallest k such that the k largest singular values of h, not squared, reach `fraction` of the sum of all.

    The paper's figures call this the stable rank. It is 0 for zeros.
    """
    return _reaching(singular_values(h), fraction)


class Ranks(NamedTuple):
    """Integers, except for the effective rank, or NaN."""

    rank: float
    effective_rank: float
    approximate_rank: float
    stable_rank: float


def ranks(h: Array) -> Ranks:
    """All ranks of h (samples, units), by one decomposition."""
    values = singular_values(h)
    return Ranks(_rank(values, h), _effective_rank(values), _reaching(values**2, 0.99), _reaching(values, 0.99))


def dead_fraction(h: Array) -> float:
    """Fraction of units (columns) whose activation is 0 in all samples (rows)."""
    h = array(h)
    return float((~h.any(0)).mean()) if _finite(h) else np.nan


def activity(h: Array) -> np.ndarray:
    """Fraction of samples in which each unit is active, h > 0; NaN for all units if h is not all finite.

    Args:
        h: activations (samples, units, *space), such as feature maps, whose positions count as samples.

    Returns:
        Fractions (units,) float32.
    """
    axes = (0, *range(2, h.ndim))
    samples = prod(h.shape) // h.shape[1]
    fractions = array((h > 0).sum(axes)).astype(np.float32) / np.float32(samples)
    return fractions if _finite(h) else np.full_like(fractions, np.nan)


def dormant_fraction(h: Array, threshold: float = 0.01) -> float:
    """Fraction of units (columns) that are active, h > 0, in at most `threshold` of the samples (rows)."""
    active = activity(h)
    return float((active <= np.float32(threshold)).mean()) if _finite(active) else np.nan


def weight_magnitude(weights: Array | Sequence[Array]) -> float:
    """Mean absolute value of all weights, of one array or of several together."""
    arrays = [array(w) for w in weights] if isinstance(weights, list | tuple) else [array(weights)]
    return float(sum(np.abs(w).sum(dtype=np.float64) for w in arrays)) / sum(w.size for w in arrays)


def _finite(h: Array) -> bool:
    return bool(np.isfinite(array(h.sum())))


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
