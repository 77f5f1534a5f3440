"""Torch's random numbers on the CPU, without torch: the Mersenne Twister, and how torch makes numbers of its words.

Compiled kernels draw with it what torch's learners draw with the same seed: `uniform_` of float32, `torch.rand(1)`, and
the initial weights of linear layers. Gaussian numbers are not torch's.
"""

from functools import cache
from math import sqrt
from typing import Any

import numpy as np
from numba import njit

WORDS = 624
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


def linear(state: np.ndarray, inputs: int, outputs: int) -> None:
    """Draw what building `torch.nn.Linear(inputs, outputs)` draws, to no use: its weights are drawn anew."""
    uniform(state, np.empty(inputs * outputs + outputs, np.float32), 1.0)


def kaiming(state: np.ndarray, inputs: int, outputs: int, gain: float) -> np.ndarray:
    """Kaiming-uniform weights (outputs, inputs)."""
    weights = np.empty(inputs * outputs, np.float32)
    uniform(state, weights, gain * sqrt(3 / inputs))
    return weights.reshape(outputs, inputs)
