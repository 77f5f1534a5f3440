"""Activations of compiled networks, for single numbers and for arrays."""

from typing import Any

import numpy as np
from numba import njit

from lop._compat import without_reference_counts
from lop.engines.compilation import OPTIONS, Entry, compiled

ACTIVATIONS = ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "swish")
LEAK, SELU_ALPHA, SELU_SCALE = 0.01, 1.6732632423543772, 1.0507009873554805

# The functions allocate no arrays, so they do not need reference counting, which would take longer than an example.
# `fastmath` is set explicitly because a function without it inherits the caller's.
COMPILED: dict[str, Any] = OPTIONS | without_reference_counts()
EXACT: dict[str, Any] = COMPILED | {"fastmath": False}
# Without the wrappers for calls from Python, which would double the compilation time.
INLINED: dict[str, Any] = {"forceinline": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
inlined: Any = njit(**INLINED, **COMPILED)
inlined_exact: Any = njit(**INLINED, **EXACT)
at = np.uintp  # unsigned index: avoids the check for negative indices


@inlined
def activate(act, z):
    """Return f(z); `act` is an index into `ACTIVATIONS`."""
    one, zero = np.float32(1), np.float32(0)
    if act == 1:
        return zero if z < zero else z  # NaN stays NaN
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
    """Return f'(z), with h = f(z)."""
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
    """Return whether a unit is inactive.

    With tanh this is |h| > 0.9, with sigmoid h < 0.05 or h > 0.95, and with all other activations h = 0.
    """
    if act == 3:
        return abs(h) > np.float32(0.9)
    if act == 4:
        return h < np.float32(0.05) or h > np.float32(0.95)
    return h == np.float32(0)


@inlined
def _activate_all(act, z):
    for i in range(len(z)):
        z[i] = activate(act, z[i])


@inlined
def _differentiate_all(act, gradient, h):
    for i in range(len(h)):
        gradient[i] *= derivative(act, h[i], h[i])


# A branch with a constant for each activation allows the compiler to vectorise the loops.
@compiled
def apply(act, z):
    """Replace z (n,) by f(z) in place."""
    if act == 1:
        _activate_all(1, z)
    elif act == 2:
        _activate_all(2, z)
    elif act == 3:
        _activate_all(3, z)
    elif act == 4:
        _activate_all(4, z)
    elif act == 5:
        _activate_all(5, z)
    elif act == 6:
        _activate_all(6, z)
    elif act == 7:
        _activate_all(7, z)


@compiled
def backpropagate(act, gradient, h):
    """Multiply gradients by f'(z) in place.

    Supports all activations whose derivative is determined by h, that is all except Swish: h has the sign of z.

    Args:
        act: index into `ACTIVATIONS`.
        gradient: gradients (n,), updated in place.
        h: activations f(z) (n,).
    """
    if act == 1:
        _differentiate_all(1, gradient, h)
    elif act == 2:
        _differentiate_all(2, gradient, h)
    elif act == 3:
        _differentiate_all(3, gradient, h)
    elif act == 4:
        _differentiate_all(4, gradient, h)
    elif act == 5:
        _differentiate_all(5, gradient, h)
    elif act == 6:
        _differentiate_all(6, gradient, h)


@Entry
def apply_activation(act, z):
    """Call `apply`, from Python."""
    apply(act, z)
