"""Forward and backward passes of one example; the optimizer's step is part of the backward pass.

    z = sum_i x_i W[i] + W[bias];   h = f(z)                                        forward
    g_i = W[i] . d;   W[i] -= step_size (h_i d + weight_decay W[i])                 backward, d the gradient of z

Each row of weights is read for the gradient and updated in the same pass over memory. Online normalisation
(`lop.nets.online_norm`) is applied to z before f; dropout sets h to zero or multiplies it by 1 / (1 - dropout). The
functions are inlined into a kernel, in which `shape` and `rule` are constants.
"""

import numpy as np

from lop.engines.activations import activate, at, derivative, inlined, is_inactive
from lop.engines.generator import unit
from lop.engines.online.late import catch_up


@inlined
def forward(shape, rule, settings, state, late, t, inputs, first, last):
    """Compute sums and activations of all layers for example t of the call.

    `first` and `last` delimit the example in the arrays of `inputs`.
    """
    z, h, weights = state.z, state.h, state.weights
    for layer in range(shape.n_layers):
        width, base, here = shape.widths[layer], shape.offsets[layer], shape.units_at[layer]
        bias = base + shape.sizes[layer] * width
        if rule.late:
            catch_up(shape, state, late, layer, shape.sizes[layer], t)
        for j in range(width):
            z[at(here + j)] = weights[at(bias + j)]
        if layer == 0:
            if rule.late:
                for k in range(first, last):
                    catch_up(shape, state, late, layer, inputs.indices[at(k)], t)
            add_rows(state, inputs.indices, inputs.values, first, last, base, width, here)
        else:
            n, below = 0, shape.units_at[layer - 1]
            for i in range(shape.sizes[layer]):
                state.rows[at(n)], state.factors[at(n)] = i, h[at(below + i)]
                n += h[at(below + i)] != 0
            if rule.late:
                for k in range(n):
                    catch_up(shape, state, late, layer, state.rows[at(k)], t)
            add_rows(state, state.rows, state.factors, 0, n, base, width, here)
        if layer < shape.n_layers - 1:
            if shape.normalises:
                normalise(shape, settings, state, layer)
            for j in range(shape.sizes[layer + 1]):
                h[at(here + j)] = activate(shape.activation, z[at(here + j)])
            if shape.drops:
                drop(shape, settings, state, layer)


@inlined
def add_rows(state, rows, factors, first, last, base, width, here):
    """Add rows[first:last] of a layer's weights, multiplied by their factors, to its sums.

    Four rows at a time, so that sums are loaded and stored a quarter as often.
    """
    z, weights = state.z, state.weights
    fours = first + (last - first) // 4 * 4
    for k in range(first, fours, 4):
        a, b = base + rows[at(k)] * width, base + rows[at(k + 1)] * width
        c, d = base + rows[at(k + 2)] * width, base + rows[at(k + 3)] * width
        x_a, x_b, x_c, x_d = factors[at(k)], factors[at(k + 1)], factors[at(k + 2)], factors[at(k + 3)]
        for j in range(width):
            z[at(here + j)] += (x_a * weights[at(a + j)] + x_b * weights[at(b + j)]) + (
                x_c * weights[at(c + j)] + x_d * weights[at(d + j)]
            )
    for k in range(fours, last):
        row, x = base + rows[at(k)] * width, factors[at(k)]
        for j in range(width):
            z[at(here + j)] += x * weights[at(row + j)]


@inlined
def normalise(shape, settings, state, layer):
    """Normalise a hidden layer's sums by their running statistics, then update these with the example."""
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
    """Apply dropout to a hidden layer."""
    kept = np.float32(1) / (np.float32(1) - settings.dropout)
    for j in range(shape.sizes[layer + 1]):
        u = at(shape.units_at[layer] + j)
        state.kept[u] = kept if unit(state.rng) >= settings.dropout else np.float32(0)
        state.h[u] *= state.kept[u]


@inlined
def output_error(shape, state, target):
    """Compute the loss and write its gradient to delta.

    The loss is the squared error of the single output, or the negative log likelihood of a class.

    Returns:
        The loss and the predicted class, -1 without classes.
    """
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
def backward(shape, rule, settings, state, late, t, inputs, first, last):
    """Compute gradients from the outputs down, and update all weights."""
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
        if layer == 0 and not rule.dense:
            step_rows(rule, settings, state, inputs.indices, inputs.values, first, last, base, width, here, here)
        elif layer == 0:
            k = first
            for i in range(n_in):
                x = np.float32(0)
                if k < last and inputs.indices[at(k)] == i:
                    x = inputs.values[at(k)]
                    k += 1
                step_row(rule, settings, state, state.delta, base + i * width, width, here, x, True, bias_1, bias_2)
        else:
            below = shape.units_at[layer - 1]
            if rule.dense:
                for i in range(n_in):
                    x, row = state.h[at(below + i)], base + i * width
                    state.delta[at(below + i)] = gradient(state, row, width, here)
                    magnitude = step_row(rule, settings, state, state.delta, row, width, here, x, True, bias_1, bias_2)
                    if rule.uses_outgoing:
                        state.outgoing[at(below + i)] = magnitude
            else:
                n = 0
                for i in range(n_in):
                    x = state.h[at(below + i)]
                    state.rows[at(n)], state.factors[at(n)] = i, x
                    if x != 0:
                        n += 1
                    elif slope_of(shape, state, at(below + i)) != 0:
                        n += 1
                        if rule.late:
                            catch_up(shape, state, late, layer, i, t)
                step_rows(rule, settings, state, state.rows, state.factors, 0, n, base, width, here, below)
            for i in range(n_in):
                slope = slope_of(shape, state, at(below + i))
                state.delta[at(below + i)] = state.delta[at(below + i)] * slope if slope != 0 else np.float32(0)
        row, x = base + n_in * width, np.float32(1)
        step_row(rule, settings, state, state.delta, row, width, here, x, False, bias_1, bias_2)


@inlined
def step_rows(rule, settings, state, rows, factors, first, last, base, width, here, below):
    """Take SGD's step for rows[first:last] of a layer's weights, four at a time.

    Unless the rows are those of inputs (below = here), the gradients of the units below are written to delta.
    """
    hidden = below != here
    fours = first + (last - first) // 4 * 4
    for k in range(first, fours, 4):
        step_four(rule, settings, state, rows, factors, k, base, width, here, below, hidden)
    for k in range(fours, last):
        i = rows[at(k)]
        row, zero = base + i * width, np.float32(0)
        if hidden:
            state.delta[at(below + i)] = gradient(state, row, width, here)
        magnitude = step_row(rule, settings, state, state.delta, row, width, here, factors[at(k)], True, zero, zero)
        if hidden and rule.uses_outgoing:
            state.outgoing[at(below + i)] = magnitude


@inlined
def step_four(rule, settings, state, rows, factors, k, base, width, here, below, hidden):
    """Apply `step_row` and `gradient` to rows[k:k + 4], loading and storing sums a quarter as often."""
    weights, delta, incoming = state.weights, state.delta, state.incoming
    i_a, i_b, i_c, i_d = rows[at(k)], rows[at(k + 1)], rows[at(k + 2)], rows[at(k + 3)]
    a, b, c, d = base + i_a * width, base + i_b * width, base + i_c * width, base + i_d * width
    step_a, step_b = settings.step_size * factors[at(k)], settings.step_size * factors[at(k + 1)]
    step_c, step_d = settings.step_size * factors[at(k + 2)], settings.step_size * factors[at(k + 3)]
    g_a = g_b = g_c = g_d = sum_a = sum_b = sum_c = sum_d = np.float32(0)
    for j in range(width):
        slope = delta[at(here + j)]
        w_a, w_b, w_c, w_d = weights[at(a + j)], weights[at(b + j)], weights[at(c + j)], weights[at(d + j)]
        new_a, new_b, new_c, new_d = (
            w_a - step_a * slope,
            w_b - step_b * slope,
            w_c - step_c * slope,
            w_d - step_d * slope,
        )
        weights[at(a + j)], weights[at(b + j)], weights[at(c + j)], weights[at(d + j)] = new_a, new_b, new_c, new_d
        if hidden:
            g_a += w_a * slope
            g_b += w_b * slope
            g_c += w_c * slope
            g_d += w_d * slope
        if hidden and rule.uses_outgoing:
            sum_a += abs(new_a)
            sum_b += abs(new_b)
            sum_c += abs(new_c)
            sum_d += abs(new_d)
        if rule.uses_incoming:
            incoming[at(here + j)] += (abs(new_a) + abs(new_b) + abs(new_c) + abs(new_d)) - (
                abs(w_a) + abs(w_b) + abs(w_c) + abs(w_d)
            )
    if hidden:
        delta[at(below + i_a)], delta[at(below + i_b)] = g_a, g_b
        delta[at(below + i_c)], delta[at(below + i_d)] = g_c, g_d
    if hidden and rule.uses_outgoing:
        state.outgoing[at(below + i_a)], state.outgoing[at(below + i_b)] = sum_a, sum_b
        state.outgoing[at(below + i_c)], state.outgoing[at(below + i_d)] = sum_c, sum_d


@inlined
def gradient(state, row, width, here):
    """Return the gradient of the unit that a row of weights belongs to."""
    g = np.float32(0)
    for j in range(width):
        g += state.weights[at(row + j)] * state.delta[at(here + j)]
    return g


@inlined
def slope_of(shape, state, u):
    """Return the derivative of hidden unit u's activation at its sum."""
    if not shape.drops:
        return derivative(shape.activation, state.z[u], state.h[u])
    return state.kept[u] * derivative(shape.activation, state.z[u], activate(shape.activation, state.z[u]))


@inlined
def backward_normalised(shape, rule, settings, state, layer, bias_1, bias_2):
    """Backpropagate through a layer's normalisation, and update its scales and shifts."""
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
    """Take the optimizer's step for one row of weights with gradient x delta; return the sum of their absolute values.

    Unless the row contains biases, scales or shifts, the sums of absolute incoming weights are updated.
    """
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
    """Add the mean magnitude of a layer's gradient to the log."""
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
    """Add the fraction of inactive units of each hidden layer to the log."""
    for layer in range(shape.n_layers - 1):
        inactive = 0
        for j in range(shape.sizes[layer + 1]):
            u = at(shape.units_at[layer] + j)
            inactive += is_inactive(shape.activation, activate(shape.activation, state.z[u]))
        state.log[1, layer] += inactive / shape.sizes[layer + 1]
