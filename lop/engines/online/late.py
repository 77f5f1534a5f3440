"""Weight decay and noise of rows of weights that nobody looks at, made up for when somebody does.

With plain SGD, L2 regularisation multiplies every weight by q = 1 - step_size * weight_decay at every example, and
shrink and perturb adds noise of standard deviation s to it. What k examples do so to a weight without a gradient is

    w = q^k w + noise of variance s^2 (1 + q^2 + ... + q^2(k - 1))

so rows of inputs and of units that are zero can wait, and one draw stands for the k. The example's own gradient comes
before its decay here: its step is divided by q. At the end of a call nothing is left to be made up for.
"""

from typing import NamedTuple

import numpy as np

from lop.engines.activations import at, inlined
from lop.engines.generator import word


class Late(NamedTuple):
    """What k examples, from 0 on, do to a weight; float32 (examples + 1,)."""

    decay: np.ndarray
    noise: np.ndarray  # standard deviation
    normal: np.ndarray  # `lop.engines.generator.normal_table`


def late(q: float, noise: float, normal: np.ndarray, examples: int) -> Late:
    """For a call of that many examples."""
    decay = np.float64(q) ** np.arange(examples + 1)
    spread = noise * np.sqrt(np.concatenate([[0], np.cumsum(decay[:-1] ** 2)]))
    return Late(decay.astype(np.float32), spread.astype(np.float32), normal)


@inlined
def catch_up(shape, state, late, layer, i, t):
    """Do to a layer's row i what the call's examples before number t have not done to it yet."""
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
    """Every row, and begin a new call."""
    for layer in range(shape.n_layers):
        for i in range(shape.sizes[layer] + 1):
            catch_up(shape, state, late, layer, i, t)
            state.current[at(shape.rows_at[layer] + i)] = 0
