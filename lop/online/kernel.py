"""Per-example learning of a fully connected network, compiled for its shape and its method.

One pass over an example goes forward, then backward through each layer, where a row of weights is read for the gradient
and updated at once, then through generate-and-test:

    z = sum_i x_i W[i] + W[bias];   h = f(z)                       forward
    g_i = W[i] . d;   W[i] -= lr (h_i d + weight_decay W[i])       backward, d the gradient of z
    ages, utilities, replacements                                  as in lop.algos.gnt

Weights are stored by input, W[i] being what input i feeds, so that only rows of inputs that are not zero are touched
(all of them where weight decay or Adam moves every weight). The bias is the last row. Rows are padded with zeros to a
multiple of the vector width. Shapes, activation, optimizer and utility are constants to the compiler.
"""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from lop.algos.utilities import UTILITIES
from lop.online.generator import normal_pair, uniform, unit

LANES = 8  # float32 in a vector register of AVX2
ACTIVATIONS = ("linear", "relu", "leaky_relu", "tanh", "sigmoid", "elu", "selu", "swish")
OPTIMIZERS = ("sgd", "adam", "adam_gnt")
LEAK, SELU_ALPHA, SELU_SCALE = 0.01, 1.6732632423543772, 1.0507009873554805

_inlined: Any = njit(fastmath=True, inline="always")


class Method(NamedTuple):
    """All that a kernel is compiled for."""

    sizes: tuple[int, ...]  # inputs, hidden layers, outputs
    activation: str = "relu"
    optimizer: str = "sgd"
    weight_decay: bool = False
    perturbs: bool = False
    replaces: bool = False
    utility: str = "contribution"
    accumulate: bool = True
    logs: bool = False  # magnitudes of gradients and shares of inactive units


def padded(n: int) -> int:
    return -(-n // LANES) * LANES


def layout(sizes: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Where each layer's rows begin in the array of all weights, with its end, and how wide a row is."""
    widths = tuple(padded(n) for n in sizes[1:])
    offsets = [0]
    for inputs, width in zip(sizes, widths, strict=False):
        offsets.append(offsets[-1] + (inputs + 1) * width)
    return tuple(offsets), widths


def unit_layout(sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Where each layer's units, from the first hidden layer on, begin in arrays of all units, with their end."""
    offsets = [0]
    for n in sizes[1:]:
        offsets.append(offsets[-1] + padded(n))
    return tuple(offsets)


@cache
def kernel(method: Method) -> Any:
    """The compiled function for a method; see `lop.online.learner` for its arguments."""
    sizes, n_layers = method.sizes, len(method.sizes) - 1
    (offsets, widths), units_at = layout(sizes), unit_layout(sizes)
    act = ACTIVATIONS.index(method.activation)
    adam, adam_gnt = method.optimizer == "adam", method.optimizer == "adam_gnt"
    decays, perturbs, replaces = method.weight_decay, method.perturbs, method.replaces
    uses_activity, uses_outgoing, uses_incoming, centred = UTILITIES[method.utility]
    random_utility, accumulate, logs = method.utility == "random", method.accumulate, method.logs
    dense = decays or adam or adam_gnt

    @njit(cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"}, error_model="numpy")
    def learn(
        order,
        start,
        index,
        value,
        target,
        settings,
        rate,
        weights,
        moments,
        squares,
        decayed,
        clock,
        units,
        owed,
        rng,
        bounds,
        errors,
        log,
    ):
        lr, weight_decay = settings[0], settings[1]
        beta_1, beta_2, eps = settings[2], settings[3], settings[4]
        noise, threshold, eta = settings[5], settings[7], settings[8]
        one = np.float32(1)
        z, h, delta = units[0], units[1], units[2]
        ages, utility, mean, power, chosen = units[3], units[4], units[5], units[6], units[7]

        for t in range(len(order)):
            example = order[t]
            first, last = start[example], start[example + 1]

            # Forward
            for layer in range(n_layers):
                n_in, n_out, width = sizes[layer], sizes[layer + 1], widths[layer]
                base, here = offsets[layer], units_at[layer]
                bias = base + n_in * width
                for j in range(width):
                    z[here + j] = weights[bias + j]
                if layer == 0:
                    for k in range(first, last):
                        row, x = base + index[k] * width, value[k]
                        for j in range(width):
                            z[here + j] += x * weights[row + j]
                else:
                    below = units_at[layer - 1]
                    for i in range(n_in):
                        x = h[below + i]
                        if x != 0:
                            row = base + i * width
                            for j in range(width):
                                z[here + j] += x * weights[row + j]
                if layer < n_layers - 1:
                    for j in range(n_out):
                        h[here + j] = activate(act, z[here + j])

            # Error, and its gradient in the outputs
            out = units_at[n_layers - 1]
            error = z[out] - target[example]
            errors[t] = error * error
            delta[out] = np.float32(2) * error

            # Backward, and the optimizer's step
            clock[0] += 1
            bias_1, bias_2 = one, one
            if adam:
                clock[1] *= beta_1
                clock[2] *= beta_2
                bias_1, bias_2 = np.float32(1 - clock[1]), np.float32(np.sqrt(1 - clock[2]))
            for back in range(n_layers):
                layer = n_layers - 1 - back
                n_in, width = sizes[layer], widths[layer]
                base, here = offsets[layer], units_at[layer]
                gradient_sum = np.float32(0)
                if layer > 0:
                    below = units_at[layer - 1]
                    for i in range(n_in):
                        x, row = h[below + i], base + i * width
                        slope = derivative(act, z[below + i], x)
                        g = np.float32(0)
                        if slope != 0:
                            for j in range(width):
                                g += weights[row + j] * delta[here + j]
                        delta[below + i] = g * slope
                        if dense or x != 0:
                            step_row(
                                adam,
                                adam_gnt,
                                decays,
                                row,
                                width,
                                x,
                                here,
                                delta,
                                weights,
                                moments,
                                squares,
                                decayed,
                                lr,
                                weight_decay,
                                beta_1,
                                beta_2,
                                eps,
                                bias_1,
                                bias_2,
                            )
                        if logs:
                            for j in range(width):
                                gradient_sum += abs(x * delta[here + j])
                elif dense:
                    k = first
                    for i in range(n_in):
                        x = np.float32(0)
                        if k < last and index[k] == i:
                            x = value[k]
                            k += 1
                        step_row(
                            adam,
                            adam_gnt,
                            decays,
                            base + i * width,
                            width,
                            x,
                            here,
                            delta,
                            weights,
                            moments,
                            squares,
                            decayed,
                            lr,
                            weight_decay,
                            beta_1,
                            beta_2,
                            eps,
                            bias_1,
                            bias_2,
                        )
                else:
                    for k in range(first, last):
                        row, x = base + index[k] * width, lr * value[k]
                        for j in range(width):
                            weights[row + j] -= x * delta[here + j]
                if logs and layer == 0:
                    for k in range(first, last):
                        for j in range(width):
                            gradient_sum += abs(value[k] * delta[here + j])
                step_row(
                    adam,
                    adam_gnt,
                    decays,
                    base + n_in * width,
                    width,
                    one,
                    here,
                    delta,
                    weights,
                    moments,
                    squares,
                    decayed,
                    lr,
                    weight_decay,
                    beta_1,
                    beta_2,
                    eps,
                    bias_1,
                    bias_2,
                )
                if logs:
                    log[0, layer] += gradient_sum / (n_in * sizes[layer + 1])
            if logs:
                for layer in range(n_layers - 1):
                    inactive = 0
                    for j in range(sizes[layer + 1]):
                        x = h[units_at[layer] + j]
                        inactive += is_inactive(act, x)
                    log[1, layer] += inactive / sizes[layer + 1]

            if perturbs:
                for layer in range(n_layers):
                    for i in range(sizes[layer] + 1):
                        row = offsets[layer] + i * widths[layer]
                        for j in range(0, sizes[layer + 1], 2):
                            a, b = normal_pair(rng)
                            weights[row + j] += noise * a
                            if j + 1 < sizes[layer + 1]:
                                weights[row + j + 1] += noise * b

            # Generate and test
            if replaces:
                for layer in range(n_layers - 1):
                    n_in, n, n_out = sizes[layer], sizes[layer + 1], sizes[layer + 2]
                    base, width, here = offsets[layer], widths[layer], units_at[layer]
                    next_base, next_width = offsets[layer + 1], widths[layer + 1]
                    if uses_incoming:  # into delta, which has done its work
                        for j in range(width):
                            delta[here + j] = np.float32(0)
                        for i in range(n_in):
                            for j in range(width):
                                delta[here + j] += abs(weights[base + i * width + j])
                    if uses_outgoing:  # into z, likewise
                        for j in range(n):
                            magnitude = np.float32(0)
                            for k in range(n_out):
                                magnitude += abs(weights[next_base + j * next_width + k])
                            z[here + j] = magnitude
                    for j in range(width):  # with the padding, in whole vectors
                        ages[here + j] += one
                        power[here + j] *= eta
                        mean[here + j] = eta * mean[here + j] + (one - eta) * h[here + j]
                        y = one
                        if uses_activity:
                            centre = mean[here + j] / (one - power[here + j]) if centred else np.float32(0)
                            y *= abs(h[here + j] - centre)
                        if uses_outgoing:
                            y *= z[here + j] * np.float32(1.0 / n_out)
                        if uses_incoming:
                            y *= np.float32(n_in) / delta[here + j]
                        utility[here + j] = eta * utility[here + j] + (one - eta) * y
                    mature = 0
                    for j in range(n):
                        mature += ages[here + j] > threshold
                    if random_utility:
                        for j in range(n):
                            utility[here + j] = unit(rng)
                    due = 0
                    if mature:
                        if accumulate:
                            owed[layer] += rate * mature
                            due = min(int(owed[layer]), mature)
                            owed[layer] -= due
                        elif rate * mature < 1:
                            due = int(unit(rng) <= np.float32(rate * mature))
                        else:
                            due = min(int(rate * mature), mature)
                    chosen[here] = due
                    for c in range(due):  # the lowest of all first
                        lowest, worst = -1, np.float32(np.inf)
                        for j in range(n):
                            u = utility[here + j]
                            if not random_utility:
                                u /= one - power[here + j]
                            if ages[here + j] > threshold and (lowest < 0 or u < worst):
                                lowest, worst = j, u
                        ages[here + lowest] = np.float32(-1 - c)  # marks the order in which they are renewed
                for layer in range(n_layers - 1):
                    here, due = units_at[layer], int(chosen[units_at[layer]])
                    n_in, n, width = sizes[layer], sizes[layer + 1], widths[layer]
                    base = offsets[layer]
                    next_base, next_width = offsets[layer + 1], widths[layer + 1]
                    for c in range(due):
                        j = 0
                        while ages[here + j] != np.float32(-1 - c):
                            j += 1
                        ages[here + j], power[here + j] = np.float32(0), one
                        utility[here + j], mean[here + j] = np.float32(0), np.float32(0)
                        fresh = np.empty(n_in, np.float32)
                        uniform(rng, fresh, bounds[layer])
                        for i in range(n_in + 1):
                            weights[base + i * width + j] = fresh[i] if i < n_in else np.float32(0)
                            if adam_gnt:
                                moments[base + i * width + j] = np.float32(0)
                                squares[base + i * width + j] = np.float32(0)
                                decayed[base + i * width + j] = one
                        for k in range(next_width):
                            weights[next_base + j * next_width + k] = np.float32(0)
                            if adam_gnt:
                                moments[next_base + j * next_width + k] = np.float32(0)
                                squares[next_base + j * next_width + k] = np.float32(0)
                                decayed[next_base + j * next_width + k] = one
                        log[2, layer] += 1

    return learn


@_inlined
def activate(act, z):
    """f(z); `act` is an index of `ACTIVATIONS`."""
    one, zero = np.float32(1), np.float32(0)
    if act == 1:
        return z if z > zero else zero
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


@_inlined
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


@_inlined
def is_inactive(act, h):
    """Whether a unit is off (ReLU) or saturated (tanh beyond 0.9, sigmoid beyond 0.05 and 0.95)."""
    if act == 3:
        return abs(h) > np.float32(0.9)
    if act == 4:
        return h < np.float32(0.05) or h > np.float32(0.95)
    return h == np.float32(0)


@_inlined
def step_row(
    adam,
    adam_gnt,
    decays,
    row,
    width,
    x,
    here,
    delta,
    weights,
    moments,
    squares,
    decayed,
    lr,
    weight_decay,
    beta_1,
    beta_2,
    eps,
    bias_1,
    bias_2,
):
    """The optimizer's step of one row of weights, whose gradient is x delta."""
    one = np.float32(1)
    if adam or adam_gnt:
        for j in range(width):
            g = x * delta[here + j]
            if decays:
                g += weight_decay * weights[row + j]
            m = beta_1 * moments[row + j] + (one - beta_1) * g
            v = beta_2 * squares[row + j] + (one - beta_2) * g * g
            moments[row + j], squares[row + j] = m, v
            if adam:
                weights[row + j] -= lr / bias_1 * m / (np.sqrt(v) / bias_2 + eps)
            else:
                decayed[row + j] *= beta_2
                weights[row + j] -= lr * (one - decayed[row + j]) * m / (np.sqrt(v) + eps)
    elif decays:
        for j in range(width):
            weights[row + j] -= lr * (x * delta[here + j] + weight_decay * weights[row + j])
    else:
        for j in range(width):
            weights[row + j] -= lr * x * delta[here + j]
