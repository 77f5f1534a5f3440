"""Activations of compiled networks, one number at a time."""

from typing import Any

import numpy as np
from numba import njit

from lop._compat import without_reference_counts

ACTIVATIONS = ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "swish")
LEAK, SELU_ALPHA, SELU_SCALE = 0.01, 1.6732632423543772, 1.0507009873554805

# The functions make no arrays and need not count references, which would take longer than an example. `fastmath` is set
# because a function without it inherits the caller's.
EXACT: dict[str, Any] = {"error_model": "numpy", "fastmath": False} | without_reference_counts()
COMPILED: dict[str, Any] = EXACT | {"fastmath": {"reassoc", "contract", "arcp", "nsz"}}
# Only compiled functions call them: what would let Python do it takes as long to compile as they do.
INLINED: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inlined: Any = njit(**INLINED, **COMPILED)
inlined_exact: Any = njit(**INLINED, **EXACT)
at = np.uintp  # an index that is not negative: the compiler need not ask whether it counts from the end


@inlined
def activate(act, z):
    """f(z); `act` is an index of `ACTIVATIONS`."""
    one, zero = np.float32(1), np.float32(0)
    if act == 1:
        return zero if z < zero else z  # a sum that is not a number stays none
    if act == 2:
        return z if z > zero else np.float32(LEAK) * z
    if act == 3:
        return np.tanh(z)
    if act == 4:
        return one / (one + np.exp(-z))
    if act == 5:
        return z if z > zero else np.exp(z) - one
    if act == 6:
        return np.float32(SELU_SCALE) * (z if z > zero else np.float32(SELU_ALPHA) * (np.exp(z) - one))
    if act == 7:
        return z / (one + np.exp(-z))
    return z


@inlined
def derivative(act, z, h):
    """f'(z), with h = f(z)."""
    one, zero = np.float32(1), np.float32(0)
    if act == 1:
        return one if z > zero else zero
    if act == 2:
        return one if z > zero else np.float32(LEAK)
    if act == 3:
        return one - h * h
    if act == 4:
        return h * (one - h)
    if act == 5:
        return one if z > zero else h + one
    if act == 6:
        return np.float32(SELU_SCALE) if z > zero else h + np.float32(SELU_SCALE * SELU_ALPHA)
    if act == 7:
        s = one / (one + np.exp(-z))
        return s + h * (one - s)
    return one


@inlined
def is_inactive(act, h):
    """Whether a unit is off (ReLU) or saturated (tanh beyond 0.9, sigmoid beyond 0.05 and 0.95)."""
    if act == 3:
        return abs(h) > np.float32(0.9)
    if act == 4:
        return h < np.float32(0.05) or h > np.float32(0.95)
    return h == np.float32(0)
