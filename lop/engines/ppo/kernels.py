"""Compiled arithmetic of PPO: one call per action and one per update.

The policy and the value network have two hidden layers of the same sizes each. Weights are stored by input, (inputs,
outputs), so that observations' trailing columns of zeros can be left out. All parameters are in one array: first those
of the policy, then those of the value network, then log_std. Each network consists of

    w1 (inputs, units 1), b1, w2 (units 1, units 2), b2, w3 (units 2, outputs), b3

Gradients and Adam's moments have the same layout. Matrix products use the BLAS library that SciPy ships.
"""

from math import log, pi, sqrt
from typing import NamedTuple

import numpy as np

from lop.algos.loops import add_column_magnitudes, take_in
from lop.engines.activations import apply, backpropagate
from lop.engines.compilation import Entry, compiled
from lop.engines.generator import normal, unit, within


class Sizes(NamedTuple):
    """Sizes of an observation, of the two hidden layers and of an action."""

    inputs: int
    units_1: int
    units_2: int
    actions: int


class Numbers(NamedTuple):
    """Settings of an update."""

    minibatch: int
    clip: float  # infinite to disable clipping
    normalises: bool  # normalise advantages over each minibatch
    max_norm: float  # infinite to disable clipping
    lr: float
    beta_1: float
    beta_2: float
    eps: float
    weight_decay: float


class Rule(NamedTuple):
    """Settings of unit replacement in one network; see `lop.algos.gnt` and `lop.algos.redo`."""

    redo: bool
    rate: float
    decay: float
    maturity: float
    activity: bool  # factors of the utility, `lop.algos.utilities`
    outgoing: bool
    incoming: bool
    centred: bool
    random: bool
    tracks_mean: bool
    moves_mean: bool
    clears: bool
    threshold: float
    period: int
    bound_1: float  # bound of new weights into the first hidden layer
    bound_2: float  # bound of new weights into the second hidden layer


class Units(NamedTuple):
    """Statistics of one network's hidden units, float32, with both layers in one array."""

    ages: np.ndarray
    utility: np.ndarray
    mean: np.ndarray
    updates: np.ndarray  # (1,) int64: updates since the last reset of dormant units


MEANS = ("policy_loss", "value_loss", "approx_kl", "clip_fraction", "entropy")  # over minibatches
COUNTS = ("policy_units_replaced", "value_units_replaced")


@compiled
def network(flat, start, inputs, units_1, units_2, outputs):
    """Return views of one network's parameters, and the start of the next network.

    Args:
        flat: array of all parameters.
        start: start of the network in `flat`.
        inputs: number of inputs.
        units_1: units of the first hidden layer.
        units_2: units of the second hidden layer.
        outputs: number of outputs.
    """
    a = start
    w1 = flat[a : a + inputs * units_1].reshape(inputs, units_1)
    a += inputs * units_1
    b1 = flat[a : a + units_1]
    a += units_1
    w2 = flat[a : a + units_1 * units_2].reshape(units_1, units_2)
    a += units_1 * units_2
    b2 = flat[a : a + units_2]
    a += units_2
    w3 = flat[a : a + units_2 * outputs].reshape(units_2, outputs)
    a += units_2 * outputs
    b3 = flat[a : a + outputs]
    return (w1, b1, w2, b2, w3, b3), a + outputs


@compiled
def layer_of_one(x, w, b, out):
    """Compute out = b + x W for one input x (n,), skipping zeros of x."""
    for j in range(len(out)):
        out[j] = b[j]
    for i in range(len(x)):
        if x[i] != 0:
            for j in range(len(out)):
                out[j] += x[i] * w[i, j]


@compiled
def forward_one(activation, net, x, h1, h2, out):
    """Compute hidden activations and outputs for one input x (n,)."""
    w1, b1, w2, b2, w3, b3 = net
    layer_of_one(x, w1, b1, h1)
    apply(activation, h1)
    layer_of_one(h1, w2, b2, h2)
    apply(activation, h2)
    layer_of_one(h2, w3, b3, out)


@Entry
def act(activation, sizes, parameters, observation, rng, spare, h1, h2, action):
    """Draw an action.

    Args:
        activation: index into `lop.engines.activations.ACTIVATIONS`.
        sizes: sizes of the networks.
        parameters: all parameters.
        observation: observation (inputs,) float32.
        rng: state of the generator; see `lop.engines.generator.normal`.
        spare: see `lop.engines.generator.normal`.
        h1: array (units 1,) that receives the activations of the first hidden layer.
        h2: array (units 2,) that receives the activations of the second hidden layer.
        action: array (actions,) float32 that receives the action.

    Returns:
        The log probability of the action.
    """
    policy, _ = network(parameters, 0, sizes.inputs, sizes.units_1, sizes.units_2, sizes.actions)
    forward_one(activation, policy, observation, h1, h2, action)
    log_std = parameters[len(parameters) - sizes.actions :]
    log_probability = np.float32(0)
    for i in range(sizes.actions):
        noise = np.float32(normal(rng, spare))
        action[i] += np.exp(log_std[i]) * noise
        log_probability -= log_std[i] + np.float32(0.5) * noise * noise
    return log_probability - 0.5 * sizes.actions * log(2 * pi)


@Entry
def values(activation, sizes, parameters, observations):
    """Return the values (n,) of observations (n, inputs)."""
    _, start = network(parameters, 0, sizes.inputs, sizes.units_1, sizes.units_2, sizes.actions)
    value, _ = network(parameters, start, sizes.inputs, sizes.units_1, sizes.units_2, 1)
    n = len(observations)
    h1, h2, out = matrix(n, sizes.units_1), matrix(n, sizes.units_2), matrix(n, 1)
    forward(activation, value, observations, h1, h2, out)
    return out.reshape(-1)


@compiled
def matrix(rows, columns):
    """Return an uninitialised array (rows, columns) float32."""
    return np.empty((rows, columns), np.float32)


@compiled
def add_to_rows(x, b):
    """Add b (columns,) to each row of x (rows, columns)."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] += b[j]


@compiled
def sum_rows(x, out):
    """Write the sum of the rows of x (rows, columns) to out (columns,)."""
    for j in range(len(out)):
        out[j] = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            out[j] += x[i, j]


@compiled
def forward(activation, net, x, h1, h2, out):
    """Compute hidden activations and outputs for x (n, columns); missing columns count as zero."""
    w1, b1, w2, b2, w3, b3 = net
    np.dot(x, w1[: x.shape[1]], h1)
    add_to_rows(h1, b1)
    apply(activation, h1.reshape(-1))
    np.dot(h1, w2, h2)
    add_to_rows(h2, b2)
    apply(activation, h2.reshape(-1))
    np.dot(h2, w3, out)
    add_to_rows(out, b3)


@compiled
def backward(activation, net, gradients, x, h1, h2, d_out, d1, d2):
    """Compute the gradients of all parameters from those of the outputs, d_out (n, outputs).

    d1 (n, units 1) and d2 (n, units 2) are work arrays.
    """
    _, _, w2, _, w3, _ = net
    g1, gb1, g2, gb2, g3, gb3 = gradients
    sum_rows(d_out, gb3)
    np.dot(h2.T, d_out, g3)
    np.dot(d_out, w3.T, d2)
    backpropagate(activation, d2.reshape(-1), h2.reshape(-1))
    sum_rows(d2, gb2)
    np.dot(h1.T, d2, g2)
    np.dot(d2, w2.T, d1)
    backpropagate(activation, d1.reshape(-1), h1.reshape(-1))
    sum_rows(d1, gb1)
    np.dot(x.T, d1, g1[: x.shape[1]])


@compiled
def surrogate(means, log_std, actions, old, advantages, clip, d_means, d_log_std, sums):
    """Compute the gradients of the clipped surrogate in means (n, actions) and log_std (actions,); add to `sums`."""
    n, m = means.shape
    inverse_std, log_norm = np.exp(-log_std), np.float32(0.5 * m * log(2 * pi))
    for j in range(m):
        log_norm += log_std[j]
        d_log_std[j] = 0
    low, high, one = np.float32(1 - clip), np.float32(1 + clip), np.float32(1)
    loss, kl, clipped = 0.0, 0.0, 0
    for i in range(n):
        log_ratio = -log_norm - old[i]
        for j in range(m):
            z = (actions[i, j] - means[i, j]) * inverse_std[j]
            d_means[i, j] = z
            log_ratio -= np.float32(0.5) * z * z
        ratio = np.exp(log_ratio)
        within_bounds = min(max(ratio, low), high)
        # Clipping binds, and the gradient is 0, where the ratio has left the bounds in the direction of the advantage.
        flat = (ratio - within_bounds) * advantages[i] > 0
        # 0 times an infinite ratio is NaN, as in torch.
        gradient = (np.float32(0) if flat else -advantages[i] / np.float32(n)) * ratio
        loss -= (within_bounds if flat else ratio) * advantages[i]
        kl += (ratio - one) - log_ratio
        clipped += ratio != within_bounds
        for j in range(m):
            z = d_means[i, j]
            d_log_std[j] += gradient * (z * z - one)
            d_means[i, j] = gradient * z * inverse_std[j]
    sums[0] += loss / n
    sums[2] += kl / n
    sums[3] += clipped / n
    sums[4] += log_norm + np.float32(0.5 * m)


@compiled
def squared_error(values, returns, d_values, sums):
    """Compute the gradient of the mean squared error in values (n, 1); add the loss to `sums`."""
    n, total = len(values), 0.0
    for i in range(n):
        error = values[i, 0] - returns[i]
        d_values[i, 0] = np.float32(2) * error / np.float32(n)
        total += error * error
    sums[1] += total / n


@compiled
def adam(p, g, m, v, numbers, step):
    """Take one step of Adam with L2 regularisation for parameters p."""
    wd, b1, b2 = np.float32(numbers.weight_decay), np.float32(numbers.beta_1), np.float32(numbers.beta_2)
    take_1, take_2, eps = np.float32(1 - numbers.beta_1), np.float32(1 - numbers.beta_2), np.float32(numbers.eps)
    step_size = np.float32(numbers.lr / (1 - numbers.beta_1**step))
    inverse_root = np.float32(1 / sqrt(1 - numbers.beta_2**step))
    for i in range(len(p)):
        gradient = g[i] + wd * p[i]
        m[i] = b1 * m[i] + take_1 * gradient
        v[i] = b2 * v[i] + take_2 * gradient * gradient
        p[i] -= step_size * m[i] / (np.sqrt(v[i]) * inverse_root + eps)


@compiled
def clip_norm(g, largest):
    """Scale gradients down to the largest allowed norm."""
    total = 0.0
    for i in range(len(g)):
        total += np.float64(g[i]) * np.float64(g[i])
    if not sqrt(total) <= largest:  # also if it is NaN
        factor = np.float32(largest / (sqrt(total) + 1e-6))
        for i in range(len(g)):
            g[i] *= factor


@compiled
def normalise(x):
    """Shift and scale x to mean 0 and standard deviation 1 in place; to 0 if all values are equal."""
    mean = np.float32(np.sum(x.astype(np.float64)) / len(x))
    total = 0.0
    for i in range(len(x)):
        x[i] -= mean
        total += np.float64(x[i]) * np.float64(x[i])
    std = np.float32(sqrt(total / (len(x) - 1))) if len(x) > 1 else np.float32(0)
    if std > 0:
        for i in range(len(x)):
            x[i] /= std


@compiled
def observe(r, h, w_in, w_out, ages, utility, mean, rng):
    """Update ages, utilities and mean activations of a hidden layer from its activations h (n, units)."""
    into, out_of = np.zeros(len(ages), np.float32), np.zeros(len(ages), np.float32)
    if r.incoming:
        add_column_magnitudes(w_in, into)
    if r.outgoing:
        for i in range(w_out.shape[0]):
            total = np.float32(0)
            for j in range(w_out.shape[1]):
                total += abs(w_out[i, j])
            out_of[i] = total / np.float32(w_out.shape[1])
    take_in(h, into, out_of, ages, utility, mean, r.decay, r.tracks_mean, r.activity, r.outgoing, r.incoming, r.centred)
    if r.random:
        for j in range(len(utility)):
            utility[j] = unit(rng)


@compiled
def least_useful(r, ages, utility, rng):
    """Return the indices of the units to replace, in ascending order of utility."""
    mature = 0
    for j in range(len(ages)):
        mature += ages[j] > r.maturity
    if mature == 0:
        return np.empty(0, np.int64)
    expected = r.rate * mature
    n = int(unit(rng) <= np.float32(expected)) if expected < 1 else min(int(expected), mature)
    chosen = np.empty(n, np.int64)
    if n == 0:
        return chosen
    compared, is_candidate = np.empty(len(ages), np.float32), np.empty(len(ages), np.bool_)
    for j in range(len(ages)):
        is_candidate[j] = ages[j] > r.maturity
        compared[j] = utility[j]
        if not r.random:
            compared[j] /= np.float32(1) - np.float32(r.decay) ** ages[j]
    for c in range(n):
        lowest = -1
        for j in range(len(ages)):
            if is_candidate[j] and (lowest < 0 or compared[j] < compared[lowest]):
                lowest = j
        chosen[c], is_candidate[lowest] = lowest, False
    return chosen


@compiled
def dormant(r, h):
    """Return the indices of units whose mean absolute activation is at most a fraction of their layer's mean."""
    activity = np.zeros(h.shape[1], np.float32)
    add_column_magnitudes(h, activity)
    total = np.float32(0)
    for j in range(len(activity)):
        total += activity[j]
    threshold, n = np.float32(r.threshold) * (total / np.float32(len(activity))), 0
    chosen = np.empty(len(activity), np.int64)
    for j in range(len(activity)):
        if activity[j] <= threshold:
            chosen[n] = j
            n += 1
    return chosen[:n]


@compiled
def clear(b_in, w_out, j):
    """Set a unit's bias and its outgoing weights to 0."""
    b_in[j] = 0
    for k in range(w_out.shape[1]):
        w_out[j, k] = 0


@compiled
def renew(r, chosen, bound, layer, moments, squares, ages, utility, mean, rng):
    """Replace units: draw incoming weights, and set biases and outgoing weights to 0.

    `layer`, `moments` and `squares` are each (w_in, b_in, w_out, b_out).
    """
    w_in, b_in, w_out, b_out = layer
    for c in range(len(chosen)):
        j = chosen[c]
        if r.moves_mean:
            centre = mean[j] / (np.float32(1) - np.float32(r.decay) ** ages[j])
            for k in range(w_out.shape[1]):
                b_out[k] += w_out[j, k] * centre
    for c in range(len(chosen)):
        j = chosen[c]
        for i in range(w_in.shape[0]):
            w_in[i, j] = within(rng, bound)
        clear(b_in, w_out, j)
        ages[j], utility[j], mean[j] = 0, 0, 0
        if r.clears:
            for w, b, w_next, _ in (moments, squares):
                for i in range(w.shape[0]):
                    w[i, j] = 0
                clear(b, w_next, j)


@compiled
def replace(r, net, moments, squares, h1, h2, units, rng):
    """Apply generate-and-test or ReDo to both hidden layers after a step with activations h1 and h2.

    Returns:
        The number of replaced units.
    """
    n = h1.shape[1]
    if r.redo:
        units.updates[0] += 1
        if units.updates[0] < r.period:
            return 0
        units.updates[0] = 0
        first, second = dormant(r, h1), dormant(r, h2)
    else:
        w1, _, w2, _, w3, _ = net
        observe(r, h1, w1, w2, units.ages[:n], units.utility[:n], units.mean[:n], rng)
        first = least_useful(r, units.ages[:n], units.utility[:n], rng)
        observe(r, h2, w2, w3, units.ages[n:], units.utility[n:], units.mean[n:], rng)
        second = least_useful(r, units.ages[n:], units.utility[n:], rng)
    if len(first):
        below = (net[:4], moments[:4], squares[:4])
        renew(r, first, r.bound_1, *below, units.ages[:n], units.utility[:n], units.mean[:n], rng)
    if len(second):
        above = (net[2:], moments[2:], squares[2:])
        renew(r, second, r.bound_2, *above, units.ages[n:], units.utility[n:], units.mean[n:], rng)
    return len(first) + len(second)


@Entry
def update(
    activation,
    sizes,
    numbers,
    parameters,
    moments,
    squares,
    steps,
    batch,
    order,
    replaces,
    policy_rule,
    value_rule,
    policy_units,
    value_units,
    rng,
):
    """Train for several epochs over shuffled minibatches.

    Args:
        activation: index into `lop.engines.activations.ACTIVATIONS`.
        sizes: sizes of the networks.
        numbers: settings of the update.
        parameters: all parameters, updated in place.
        moments: first moments of Adam, updated in place.
        squares: second moments of Adam, updated in place.
        steps: steps of Adam (1,) int64, updated in place.
        batch: observations (n, columns), actions (n, actions), and log probabilities, advantages and returns (n,).
        order: indices of the transitions (epochs, n) int64.
        replaces: whether to replace units of the policy and of the value network.
        policy_rule: settings of unit replacement in the policy.
        value_rule: settings of unit replacement in the value network.
        policy_units: statistics of the policy's units, updated in place.
        value_units: statistics of the value network's units, updated in place.
        rng: state of the generator of new weights, `lop.engines.generator`; updated in place.

    Returns:
        The diagnostics `MEANS` and `COUNTS` in one array.
    """
    observations, all_actions, all_old, all_advantages, all_returns = batch
    columns, n, m, size = observations.shape[1], len(observations), sizes.actions, numbers.minibatch
    gradients = np.zeros(len(parameters), np.float32)
    shape = (sizes.inputs, sizes.units_1, sizes.units_2)
    policy, start = network(parameters, 0, *shape, m)
    value, end = network(parameters, start, *shape, 1)
    policy_gradients, value_gradients = network(gradients, 0, *shape, m)[0], network(gradients, start, *shape, 1)[0]
    policy_moments, value_moments = network(moments, 0, *shape, m)[0], network(moments, start, *shape, 1)[0]
    policy_squares, value_squares = network(squares, 0, *shape, m)[0], network(squares, start, *shape, 1)[0]
    log_std, d_log_std = parameters[end:], gradients[end:]

    x, actions = matrix(size, columns), matrix(size, m)
    old, advantages, returns = np.empty(size, np.float32), np.empty(size, np.float32), np.empty(size, np.float32)
    means, d_means, values, d_values = matrix(size, m), matrix(size, m), matrix(size, 1), matrix(size, 1)
    h1, h2 = matrix(size, sizes.units_1), matrix(size, sizes.units_2)  # activations of the policy
    k1, k2 = matrix(size, sizes.units_1), matrix(size, sizes.units_2)  # of the value network
    d1, d2 = matrix(size, sizes.units_1), matrix(size, sizes.units_2)
    sums, live = np.zeros(len(MEANS) + len(COUNTS)), columns * sizes.units_1
    # Weights of inputs that are always zero stay as they are, unless they decay or still move.
    first, last = live, sizes.inputs * sizes.units_1
    idle = numbers.weight_decay == 0
    for i in range(first, last):
        idle = idle and moments[i] == 0 and moments[start + i] == 0 and squares[i] == 0 and squares[start + i] == 0

    for epoch in range(len(order)):
        for begin in range(0, n, size):
            for i in range(size):
                row = order[epoch, begin + i]
                for j in range(columns):
                    x[i, j] = observations[row, j]
                for j in range(m):
                    actions[i, j] = all_actions[row, j]
                old[i], advantages[i], returns[i] = all_old[row], all_advantages[row], all_returns[row]
            if numbers.normalises:
                normalise(advantages)
            forward(activation, policy, x, h1, h2, means)
            surrogate(means, log_std, actions, old, advantages, numbers.clip, d_means, d_log_std, sums)
            backward(activation, policy, policy_gradients, x, h1, h2, d_means, d1, d2)
            forward(activation, value, x, k1, k2, values)
            squared_error(values, returns, d_values, sums)
            backward(activation, value, value_gradients, x, k1, k2, d_values, d1, d2)
            if numbers.max_norm < np.inf:
                clip_norm(gradients, numbers.max_norm)
            steps[0] += 1
            if idle:
                adam(parameters[:first], gradients[:first], moments[:first], squares[:first], numbers, steps[0])
                a, b = last, start + first
                adam(parameters[a:b], gradients[a:b], moments[a:b], squares[a:b], numbers, steps[0])
                a, b = start + last, len(parameters)
                adam(parameters[a:b], gradients[a:b], moments[a:b], squares[a:b], numbers, steps[0])
            else:
                adam(parameters, gradients, moments, squares, numbers, steps[0])
            if replaces[0]:
                sums[5] += replace(policy_rule, policy, policy_moments, policy_squares, h1, h2, policy_units, rng)
            if replaces[1]:
                sums[6] += replace(value_rule, value, value_moments, value_squares, k1, k2, value_units, rng)
    for i in range(len(MEANS)):
        sums[i] /= len(order) * (n // size)
    return sums
