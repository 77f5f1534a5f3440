"""Lazy weight decay and noise: rows of weights are updated when they are next used.

With plain SGD, L2 regularisation multiplies each weight by q = 1 - step_size * weight_decay per example, and shrink and
perturb adds noise of standard deviation s. For a weight without a gradient, k examples have the effect

    w = q^k w + noise of variance s^2 (1 + q^2 + ... + q^2(k - 1))

Rows of inputs and units that are zero are therefore updated later, with a single draw for k examples. The gradient of
an example is applied before its decay, with the step size divided by q. At the end of a call, all rows are up to date.
"""

from typing import NamedTuple

import numpy as np

from lop.engines.activations import at, inlined
from lop.engines.generator import word


class Late(NamedTuple):
    """Effect of k = 0, 1, ... examples on a weight, float32 (examples + 1,)."""

    decay: np.ndarray
    noise: np.ndarray  # standard deviations
    normal: np.ndarray  # `lop.engines.generator.normal_table`


def late(q: float, noise: float, normal: np.ndarray, examples: int) -> Late:
    """Tabulate decay and noise for a call.

    Args:
        q: Factor of the decay per example.
        noise: Standard deviation of the noise per example.
        normal: See `lop.engines.generator.normal_table`.
        examples: Maximum number of examples in the call.
    """
    decay = np.float64(q) ** np.arange(examples + 1)
    spread = noise * np.sqrt(np.concatenate([[0], np.cumsum(decay[:-1] ** 2)]))
    return Late(decay.astype(np.float32), spread.astype(np.float32), normal)


@inlined
def catch_up(shape, state, late, layer, i, t):
    """Apply the decay and noise of the call's examples before example t to row i of a layer, unless already applied."""
    which = shape.rows_at[layer] + i
    k = t - state.current[at(which)]
    if k == 0:
        return
    state.current[at(which)] = t
    row, n = shape.offsets[layer] + i * shape.widths[layer], shape.sizes[layer + 1]
    decay, noise = late.decay[at(k)], late.noise[at(k)]
    if noise == 0:
        for j in range(n):
            state.weights[at(row + j)] *= decay
        return
    for j in range(0, n, 2):
        bits = word(state.rng)
        state.weights[at(row + j)] = decay * state.weights[at(row + j)] + noise * late.normal[bits & np.uint32(0xFFFF)]
        if j + 1 < n:
            other = decay * state.weights[at(row + j + 1)]
            state.weights[at(row + j + 1)] = other + noise * late.normal[bits >> np.uint32(16)]


@inlined
def catch_up_all(shape, state, late, t):
    """Bring all rows up to date before example t, and reset their counts for the next call."""
    for layer in range(shape.n_layers):
        for i in range(shape.sizes[layer] + 1):
            catch_up(shape, state, late, layer, i, t)
            state.current[at(shape.rows_at[layer] + i)] = 0
