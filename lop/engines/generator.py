"""Torch's random numbers on the CPU, without torch: the Mersenne Twister, and how torch makes numbers of its words.

Compiled kernels draw with it what torch's learners draw with the same seed: `uniform_` of float32, `torch.rand(1)`,
`torch.randn` of a few numbers, and the initial weights of linear layers. The many normal numbers of shrink and perturb
are not torch's.
"""

from functools import cache
from math import cos, log1p, pi, sin, sqrt
from typing import Any

import numpy as np
from numba import njit

WORDS = 624
VECTORISED = 16  # from this many on, torch draws normal numbers by other code
_compiled: Any = njit(cache=True)


def seeded(seed: int) -> np.ndarray:
    """State (625,) uint32 of `torch.manual_seed(seed)`: the twister's words, and how many of them are used up."""
    state = np.empty(WORDS + 1, np.uint32)
    _, words, position, *_ = np.random.RandomState(seed % 2**32).get_state()
    state[:WORDS], state[WORDS] = words, position
    return state


@_compiled
def word(state):
    """The next 32 random bits."""
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
    """Float64 in [0, 1), of 53 bits."""
    high, low = np.uint64(word(state)), np.uint64(word(state))
    return np.float64(((high << np.uint64(32)) | low) & np.uint64((1 << 53) - 1)) * 2.0**-53


@_compiled
def normal(state, spare):
    """One number of `torch.randn(n)` for n < 16, float64, by Box and Muller's method.

    Two are made at a time; `spare` (2,) float64 holds the second one, and whether there is one.
    """
    if spare[1]:
        spare[1] = 0
        return spare[0]
    angle, radius = 2 * pi * _double(state), sqrt(-2 * log1p(-_double(state)))
    spare[0], spare[1] = radius * sin(angle), 1
    return radius * cos(angle)


@_compiled
def unit(state):
    """`torch.rand(1)`: float32 in [0, 1), of 24 bits."""
    return np.float32(word(state) & np.uint32(0xFFFFFF)) * np.float32(1.0 / 16777216.0)


@_compiled
def within(state, bound):
    """One number of `uniform_(-bound, bound)`; rounded once, as torch does."""
    low, width = np.float32(-bound), np.float32(bound) - np.float32(-bound)
    return np.float32(np.float64(unit(state)) * np.float64(width) + np.float64(low))


@_compiled
def uniform(state, out, bound):
    """Fill out (n,) float32 as `uniform_(-bound, bound)` does."""
    for i in range(len(out)):
        out[i] = within(state, bound)


@_compiled
def signs(state, out):
    """Fill out (n,) float32 with +1 and -1, as `randint(0, 2) * 2 - 1` does."""
    for i in range(len(out)):
        out[i] = np.float32(2.0) * np.float32(word(state) & np.uint32(1)) - np.float32(1.0)


@cache
def normal_table() -> np.ndarray:
    """The standard normal distribution as 65,536 numbers (float32) of equal probability: 16 random bits choose one.

    Twenty times as fast as a logarithm and a cosine, and as good for noise: moments and quantiles are those of the
    normal distribution to four digits; the largest number is 4.3.
    """
    from scipy.special import ndtri  # costs a tenth of a second, and few runs need it

    table = ndtri((np.arange(2**16) + 0.5) / 2**16)
    return (table / table.std()).astype(np.float32)


def built_linear(state: np.ndarray, inputs: int, outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (outputs, inputs) and biases (outputs,) that building `torch.nn.Linear(inputs, outputs)` draws."""
    weights, biases = np.empty(inputs * outputs, np.float32), np.empty(outputs, np.float32)
    for drawn in (weights, biases):
        uniform(state, drawn, sqrt(1 / inputs))
    return weights.reshape(outputs, inputs), biases


def kaiming(state: np.ndarray, inputs: int, outputs: int, gain: float) -> np.ndarray:
    """Kaiming-uniform weights (outputs, inputs)."""
    weights = np.empty(inputs * outputs, np.float32)
    uniform(state, weights, gain * sqrt(3 / inputs))
    return weights.reshape(outputs, inputs)
