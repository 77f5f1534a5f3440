"""Forward and backward passes of one example; the optimizer's step is part of the backward one.

    z = sum_i x_i W[i] + W[bias];   h = f(z)                                        forward
    g_i = W[i] . d;   W[i] -= step_size (h_i d + weight_decay W[i])                 backward, d the gradient of z

A row of weights is read for the gradient and updated at once. With online normalisation z is normalised before f, as
`lop.nets.online_norm` does it; with dropout h is zero or multiplied by 1 / (1 - dropout). Functions here are inlined
into a kernel: `shape` and `rule` are constants there.
"""

import numpy as np

from lop.online.activations import activate, at, derivative, inlined, is_inactive
from lop.online.generator import unit


@inlined
def forward(shape, settings, state, inputs, first, last):
    """Sums and activations of all layers; the inputs that are not zero are inputs' numbers first to last."""
    z, h, weights = state.z, state.h, state.weights
    for layer in range(shape.n_layers):
        width, base, here = shape.widths[layer], shape.offsets[layer], shape.units_at[layer]
        bias = base + shape.sizes[layer] * width
        for j in range(width):
            z[at(here + j)] = weights[at(bias + j)]
        if layer == 0:
            for k in range(first, last):
                row, x = base + inputs.indices[at(k)] * width, inputs.values[at(k)]
                for j in range(width):
                    z[at(here + j)] += x * weights[at(row + j)]
        else:
            below = shape.units_at[layer - 1]
            for i in range(shape.sizes[layer]):
                x = h[at(below + i)]
                if x != 0:
                    row = base + i * width
                    for j in range(width):
                        z[at(here + j)] += x * weights[at(row + j)]
        if layer < shape.n_layers - 1:
            if shape.normalises:
                normalise(shape, settings, state, layer)
            for j in range(shape.sizes[layer + 1]):
                h[at(here + j)] = activate(shape.activation, z[at(here + j)])
            if shape.drops:
                drop(shape, settings, state, layer)


@inlined
def normalise(shape, settings, state, layer):
    """Normalise a hidden layer's sums by their running means and variances, then take this example in."""
    here, width, one = shape.units_at[layer], shape.widths[layer], np.float32(1)
    scales = shape.offsets[layer] + (shape.sizes[layer] + 1) * width
    a, clamp = settings.alpha_forward, settings.norm_clamp
    for j in range(width):
        u = at(here + j)
        apart = state.z[u] - state.norm_mean[u]
        state.norm_scale[u] = np.sqrt(state.norm_var[u] + settings.norm_eps)
        state.norm_output[u] = apart / state.norm_scale[u]
        state.norm_var[u] = a * state.norm_var[u] + a * (one - a) * apart * apart
        state.norm_mean[u] = a * state.norm_mean[u] + (one - a) * state.z[u]
        out = state.weights[at(scales + j)] * state.norm_output[u] + state.weights[at(scales + width + j)]
        state.z[u] = min(max(out, -clamp), clamp)


@inlined
def drop(shape, settings, state, layer):
    """Zero a hidden layer's units at random, and make up for it."""
    kept = np.float32(1) / (np.float32(1) - settings.dropout)
    for j in range(shape.sizes[layer + 1]):
        u = at(shape.units_at[layer] + j)
        state.kept[u] = kept if unit(state.rng) >= settings.dropout else np.float32(0)
        state.h[u] *= state.kept[u]


@inlined
def output_error(shape, state, target):
    """(loss, predicted class or -1); the loss's gradient goes into delta.

    The squared error of the one output, or the negative log likelihood of a class."""
    out, n_out = shape.units_at[shape.n_layers - 1], shape.sizes[shape.n_layers]
    if not shape.classifies:
        error = state.z[at(out)] - target
        state.delta[at(out)] = np.float32(2) * error
        return error * error, -1
    best = 0
    for j in range(1, n_out):
        if state.z[at(out + j)] > state.z[at(out + best)]:
            best = j
    highest, total = state.z[at(out + best)], np.float32(0)
    for j in range(n_out):
        state.delta[at(out + j)] = np.exp(state.z[at(out + j)] - highest)
        total += state.delta[at(out + j)]
    for j in range(n_out):
        state.delta[at(out + j)] /= total
    label = int(target)
    state.delta[at(out + label)] -= np.float32(1)
    return np.log(total) - (state.z[at(out + label)] - highest), best


@inlined
def backward(shape, rule, settings, state, inputs, first, last):
    """Gradients from the outputs down, and the optimizer's step of every weight."""
    state.clock[0] += 1
    bias_1, bias_2 = np.float32(1), np.float32(1)
    if rule.adam:
        state.clock[1] *= settings.beta_1
        state.clock[2] *= settings.beta_2
        bias_1, bias_2 = np.float32(1 - state.clock[1]), np.float32(np.sqrt(1 - state.clock[2]))
    for back in range(shape.n_layers):
        layer = shape.n_layers - 1 - back
        n_in, width = shape.sizes[layer], shape.widths[layer]
        base, here = shape.offsets[layer], shape.units_at[layer]
        if shape.normalises and layer < shape.n_layers - 1:
            backward_normalised(shape, rule, settings, state, layer, bias_1, bias_2)
        if rule.logs:
            log_gradient(shape, state, layer, inputs, first, last)
        if layer > 0:
            below = shape.units_at[layer - 1]
            for i in range(n_in):
                x, row = state.h[at(below + i)], base + i * width
                slope = slope_of(shape, state, at(below + i))
                g = np.float32(0)
                if slope != 0:
                    for j in range(width):
                        g += state.weights[at(row + j)] * state.delta[at(here + j)]
                state.delta[at(below + i)] = g * slope
                if rule.dense or x != 0:
                    magnitude = step_row(
                        rule, settings, state, state.delta, row, width, here, x, True, bias_1, bias_2
                    )
                    if rule.uses_outgoing:
                        state.outgoing[at(below + i)] = magnitude
        elif rule.dense:
            k = first
            for i in range(n_in):
                x = np.float32(0)
                if k < last and inputs.indices[at(k)] == i:
                    x = inputs.values[at(k)]
                    k += 1
                step_row(rule, settings, state, state.delta, base + i * width, width, here, x, True, bias_1, bias_2)
        else:
            for k in range(first, last):
                row, x = base + inputs.indices[at(k)] * width, inputs.values[at(k)]
                step_row(rule, settings, state, state.delta, row, width, here, x, True, bias_1, bias_2)
        row, x = base + n_in * width, np.float32(1)
        step_row(rule, settings, state, state.delta, row, width, here, x, False, bias_1, bias_2)


@inlined
def slope_of(shape, state, u):
    """Derivative of hidden unit u's activation at its sum."""
    if not shape.drops:
        return derivative(shape.activation, state.z[u], state.h[u])
    return state.kept[u] * derivative(shape.activation, state.z[u], activate(shape.activation, state.z[u]))


@inlined
def backward_normalised(shape, rule, settings, state, layer, bias_1, bias_2):
    """From the gradient of a layer's normalised sums to that of its sums, and the step of its scales and shifts."""
    here, width, one = shape.units_at[layer], shape.widths[layer], np.float32(1)
    scales = shape.offsets[layer] + (shape.sizes[layer] + 1) * width
    rate = one - settings.alpha_backward
    for j in range(width):
        u = at(here + j)
        y, scale = state.norm_output[u], state.weights[at(scales + j)]
        out = scale * y + state.weights[at(scales + width + j)]
        d = state.delta[u] if abs(out) <= settings.norm_clamp else np.float32(0)
        state.delta[u], state.norm_gradient[u] = d, d * y
        g = d * scale - rate * state.output_error[u] * y
        state.output_error[u] += g * y
        g = g / state.norm_scale[u] - rate * state.mean_error[u]
        state.mean_error[u] += g
        state.norm_output[u] = g
    step_row(rule, settings, state, state.norm_gradient, scales, width, here, one, False, bias_1, bias_2)
    step_row(rule, settings, state, state.delta, scales + width, width, here, one, False, bias_1, bias_2)
    for j in range(width):
        state.delta[at(here + j)] = state.norm_output[at(here + j)]


@inlined
def step_row(rule, settings, state, delta, row, width, here, x, is_weight, bias_1, bias_2):
    """The optimizer's step of one row of weights, whose gradient is x delta; returns their sum of absolute values.

    Keeps the sums of absolute incoming weights up to date, unless the row is one of biases, scales or shifts."""
    weights = state.weights
    one, magnitude = np.float32(1), np.float32(0)
    step = settings.step_size * x
    for j in range(width):
        old = weights[at(row + j)]
        if rule.adam or rule.adam_gnt:
            g = x * delta[at(here + j)]
            if rule.decays:
                g += settings.weight_decay * old
            m = settings.beta_1 * state.moments[at(row + j)] + (one - settings.beta_1) * g
            v = settings.beta_2 * state.squares[at(row + j)] + (one - settings.beta_2) * g * g
            state.moments[at(row + j)], state.squares[at(row + j)] = m, v
            if rule.adam:
                new = old - settings.step_size / bias_1 * m / (np.sqrt(v) / bias_2 + settings.eps)
            else:
                state.decayed[at(row + j)] *= settings.beta_2
                new = old - settings.step_size * (one - state.decayed[at(row + j)]) * m / (np.sqrt(v) + settings.eps)
        elif rule.decays:
            new = old - settings.step_size * (x * delta[at(here + j)] + settings.weight_decay * old)
        else:
            new = old - step * delta[at(here + j)]
        weights[at(row + j)] = new
        if is_weight and rule.uses_outgoing:
            magnitude += abs(new)
        if is_weight and rule.uses_incoming:
            state.incoming[at(here + j)] += abs(new) - abs(old)
    return magnitude


@inlined
def log_gradient(shape, state, layer, inputs, first, last):
    """Add the mean magnitude of a layer's gradient."""
    width, here = shape.widths[layer], shape.units_at[layer]
    below = np.float32(0)
    if layer > 0:
        for i in range(shape.sizes[layer]):
            below += abs(state.h[at(shape.units_at[layer - 1] + i)])
    else:
        for k in range(first, last):
            below += abs(inputs.values[at(k)])
    above = np.float32(0)
    for j in range(width):
        above += abs(state.delta[at(here + j)])
    state.log[0, layer] += below * above / (shape.sizes[layer] * shape.sizes[layer + 1])


@inlined
def log_inactive(shape, state):
    """Add the shares of units that are off or saturated."""
    for layer in range(shape.n_layers - 1):
        inactive = 0
        for j in range(shape.sizes[layer + 1]):
            inactive += is_inactive(shape.activation, activate(shape.activation, state.z[at(shape.units_at[layer] + j)]))
        state.log[1, layer] += inactive / shape.sizes[layer + 1]
