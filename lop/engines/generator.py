"""PyTorch's random numbers on the CPU without PyTorch: the Mersenne Twister and PyTorch's conversions of its output.

With the same seed, compiled kernels draw the same numbers as learners in PyTorch: `uniform_` in float32,
`torch.rand(1)`, `torch.randn` of fewer than 16 numbers, and the initial weights of linear layers. The noise of shrink
and perturb differs from PyTorch's.
"""

from functools import cache
from math import cos, log1p, pi, sin, sqrt
from typing import Any

import numpy as np
from numba import njit

WORDS = 624
VECTORISED = 16  # number of normal draws from which PyTorch uses a different algorithm
_compiled: Any = njit(cache=True)


def seeded(seed: int) -> np.ndarray:
    """Return the state of `torch.manual_seed(seed)`.

    Args:
        seed: seed.

    Returns:
        State (625,) uint32: the words of the twister, and the number of words that have been used.
    """
    state = np.empty(WORDS + 1, np.uint32)
    _, words, position, *_ = np.random.RandomState(seed % 2**32).get_state()
    state[:WORDS], state[WORDS] = words, position
    return state


@_compiled
def word(state):
    """Return the next 32 random bits."""
    if state[WORDS] >= WORDS:
        _twist(state)
    y = state[state[WORDS]]
    state[WORDS] += np.uint32(1)
    y ^= y >> np.uint32(11)
    y ^= (y << np.uint32(7)) & np.uint32(0x9D2C5680)
    y ^= (y << np.uint32(15)) & np.uint32(0xEFC60000)
    return y ^ (y >> np.uint32(18))


@_compiled
def _twist(state):
    for i in range(WORDS):
        y = (state[i] & np.uint32(0x80000000)) | (state[(i + 1) % WORDS] & np.uint32(0x7FFFFFFF))
        mixed = state[(i + 397) % WORDS] ^ (y >> np.uint32(1))
        state[i] = mixed ^ np.uint32(0x9908B0DF) if y & np.uint32(1) else mixed
    state[WORDS] = np.uint32(0)


@_compiled
def _double(state):
    """Return a float64 in [0, 1) with 53 random bits."""
    high, low = np.uint64(word(state)), np.uint64(word(state))
    return np.float64(((high << np.uint64(32)) | low) & np.uint64((1 << 53) - 1)) * 2.0**-53


@_compiled
def normal(state, spare):
    """Return one number of `torch.randn(n)`, n < 16, in float64, by the Box-Muller method.

    Args:
        state: state of the generator, updated in place.
        spare: array (2,) float64 with the second number of the last pair, and 1 if it has not been used, else 0.
    """
    if spare[1]:
        spare[1] = 0
        return spare[0]
    angle, radius = 2 * pi * _double(state), sqrt(-2 * log1p(-_double(state)))
    spare[0], spare[1] = radius * sin(angle), 1
    return radius * cos(angle)


@_compiled
def unit(state):
    """Return the number of `torch.rand(1)`, a float32 in [0, 1) with 24 random bits."""
    return np.float32(word(state) & np.uint32(0xFFFFFF)) * np.float32(1.0 / 16777216.0)


@_compiled
def within(state, bound):
    """Return one number of `uniform_(-bound, bound)`, rounded once, as in PyTorch."""
    low, width = np.float32(-bound), np.float32(bound) - np.float32(-bound)
    return np.float32(np.float64(unit(state)) * np.float64(width) + np.float64(low))


@_compiled
def uniform(state, out, bound):
    """Fill out (n,) float32 like `uniform_(-bound, bound)`."""
    for i in range(len(out)):
        out[i] = within(state, bound)


@_compiled
def signs(state, out):
    """Fill out (n,) float32 with +1 and -1, like `randint(0, 2) * 2 - 1`."""
    for i in range(len(out)):
        out[i] = np.float32(2.0) * np.float32(word(state) & np.uint32(1)) - np.float32(1.0)


@cache
def normal_table() -> np.ndarray:
    """Return 65,536 equally probable numbers of the standard normal distribution, float32, indexed by 16 random bits.

    Drawing noise from the table is twenty times as fast as the Box-Muller method. Moments and quantiles agree with
    those of the normal distribution to four digits; the largest number is 4.3.
    """
    from scipy.special import ndtri  # imported on use: takes 0.1 s

    table = ndtri((np.arange(2**16) + 0.5) / 2**16)
    return (table / table.std()).astype(np.float32)


def built_linear(state: np.ndarray, inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the initial weights of `torch.nn.Linear(inputs, outputs)`.

    Args:
        state: state of the generator, updated in place.
        inputs: number of inputs.
        outputs: number of outputs.

    Returns:
        Weights (outputs, inputs) and biases (outputs,).
    """
    weights, biases = np.empty(inputs * outputs, np.float32), np.empty(outputs, np.float32)
    for drawn in (weights, biases):
        uniform(state, drawn, sqrt(1 / inputs))
    return weights.reshape(outputs, inputs), biases


def kaiming(state: np.ndarray, inputs: int, outputs: int, gain: float) -> np.ndarray:
    """Draw Kaiming-uniform weights (outputs, inputs)."""
    weights = np.empty(inputs * outputs, np.float32)
    uniform(state, weights, gain * sqrt(3 / inputs))
    return weights.reshape(outputs, inputs)
