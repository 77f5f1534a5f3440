"""Changes of weights after a step: noise, and generate-and-test as in `lop.algos.gnt`.

The functions are inlined into a kernel, in which `shape` and `rule` are constants.
"""

import numpy as np

from lop.engines.activations import at, inlined, inlined_exact
from lop.engines.generator import unit, within, word


@inlined
def perturb(shape, settings, state, normal):
    """Add noise to all weights and biases; `normal` is that of `lop.engines.generator.normal_table`."""
    weights, noise = state.weights, settings.perturb_scale
    for layer in range(shape.n_layers):
        for i in range(shape.sizes[layer] + 1):
            row = shape.offsets[layer] + i * shape.widths[layer]
            for j in range(0, shape.sizes[layer + 1], 2):
                bits = word(state.rng)
                weights[at(row + j)] += noise * normal[bits & np.uint32(0xFFFF)]
                if j + 1 < shape.sizes[layer + 1]:
                    weights[at(row + j + 1)] += noise * normal[bits >> np.uint32(16)]


@inlined
def sum_weights(shape, state):
    """Recompute the sums of absolute incoming and outgoing weights of each hidden unit.

    Steps update these sums, but accumulate rounding errors.
    """
    for u in range(shape.units_at[shape.n_layers]):
        state.incoming[at(u)] = np.float32(0)
    for layer in range(shape.n_layers):
        width, here = shape.widths[layer], shape.units_at[layer]
        for i in range(shape.sizes[layer]):
            row, total = shape.offsets[layer] + i * width, np.float32(0)
            for j in range(width):
                magnitude = abs(state.weights[at(row + j)])
                state.incoming[at(here + j)] += magnitude
                total += magnitude
            if layer > 0:
                state.outgoing[at(shape.units_at[layer - 1] + i)] = total


@inlined
def update_utilities(shape, rule, settings, state, layer):
    """Update ages, running means and utilities of a hidden layer, including the padding, as whole vectors."""
    n_in, n_out = shape.sizes[layer], shape.sizes[layer + 2]
    here, eta, one = shape.units_at[layer], settings.decay_rate, np.float32(1)
    for u in range(here, here + shape.widths[layer]):
        state.ages[at(u)] += one
        state.power[at(u)] *= eta
        state.mean[at(u)] = eta * state.mean[at(u)] + (one - eta) * state.h[at(u)]
        y = one
        if rule.uses_activity:
            centre = state.mean[at(u)] / (one - state.power[at(u)]) if rule.centred else np.float32(0)
            y *= abs(state.h[at(u)] - centre)
        if rule.uses_outgoing:
            y *= state.outgoing[at(u)] * np.float32(1.0 / n_out)
        if rule.uses_incoming:
            y *= np.float32(n_in) / state.incoming[at(u)]
        state.utility[at(u)] = eta * state.utility[at(u)] + (one - eta) * y


@inlined_exact
def count_due(shape, rule, settings, state, layer):
    """Return the number of units of a hidden layer to replace now.

    Compiled without reordering of sums, so that accumulated fractions are rounded as in PyTorch.
    """
    here, rate, mature = shape.units_at[layer], settings.replacement_rate, 0
    for u in range(here, here + shape.sizes[layer + 1]):
        mature += state.ages[at(u)] > settings.maturity_threshold
    if rule.random_utility:
        for u in range(here, here + shape.sizes[layer + 1]):
            state.utility[at(u)] = unit(state.rng)
    due = 0
    if mature:
        if rule.accumulate:
            state.owed[layer] += rate * mature
            due = min(int(state.owed[layer]), mature)
            state.owed[layer] -= due
        elif rate * mature < 1:
            due = int(unit(state.rng) <= np.float32(rate * mature))
        else:
            due = min(int(rate * mature), mature)
    return due


@inlined
def mark_lowest(shape, rule, settings, state, layer, due):
    """Mark the `due` mature units of lowest utility by ages of -1, -2, ..., in ascending order of utility."""
    here = shape.units_at[layer]
    for c in range(due):
        lowest, worst = -1, np.float32(np.inf)
        for u in range(here, here + shape.sizes[layer + 1]):
            value = state.utility[at(u)]
            if not rule.random_utility:
                value /= np.float32(1) - state.power[at(u)]
            if state.ages[at(u)] > settings.maturity_threshold and (lowest < 0 or value < worst):
                lowest, worst = u, value
        state.ages[at(lowest)] = np.float32(-1 - c)


@inlined
def renew(shape, rule, state, layer, c, bound):
    """Replace marked unit number c of a hidden layer: draw incoming weights, and set outgoing ones to zero."""
    n_in, width, here = shape.sizes[layer], shape.widths[layer], shape.units_at[layer]
    base, next_base, next_width = shape.offsets[layer], shape.offsets[layer + 1], shape.widths[layer + 1]
    j = 0
    while state.ages[at(here + j)] != np.float32(-1 - c):
        j += 1
    state.ages[at(here + j)], state.power[at(here + j)] = np.float32(0), np.float32(1)
    state.utility[at(here + j)], state.mean[at(here + j)] = np.float32(0), np.float32(0)

    total = np.float32(0)
    for i in range(n_in):
        w, fresh = base + i * width + j, within(state.rng, bound)
        total += abs(fresh)
        if layer > 0:
            state.outgoing[at(shape.units_at[layer - 1] + i)] += abs(fresh) - abs(state.weights[at(w)])
        state.weights[at(w)] = fresh
        forget_moments(rule, state, w)
    state.weights[at(base + n_in * width + j)] = np.float32(0)
    forget_moments(rule, state, base + n_in * width + j)
    state.incoming[at(here + j)], state.outgoing[at(here + j)] = total, np.float32(0)

    for k in range(next_width):
        w = next_base + j * next_width + k
        state.incoming[at(shape.units_at[layer + 1] + k)] -= abs(state.weights[at(w)])
        state.weights[at(w)] = np.float32(0)
        forget_moments(rule, state, w)
    state.log[2, layer] += 1


@inlined
def forget_moments(rule, state, w):
    """Reset the moments and the age of weight w in Adam."""
    if rule.adam_gnt:
        state.moments[at(w)], state.squares[at(w)], state.decayed[at(w)] = np.float32(0), np.float32(0), np.float32(1)


@inlined
def generate_and_test(shape, rule, settings, state, bounds):
    """Update the utilities of all hidden layers, then replace units."""
    for layer in range(shape.n_layers - 1):
        update_utilities(shape, rule, settings, state, layer)
        due = count_due(shape, rule, settings, state, layer)
        state.due[layer] = due
        if due:
            mark_lowest(shape, rule, settings, state, layer, due)
    for layer in range(shape.n_layers - 1):
        for c in range(state.due[layer]):
            renew(shape, rule, state, layer, c, bounds[layer])
