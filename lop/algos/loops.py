"""Loops of continual backpropagation that are compiled for the CPU; called by `lop.algos.magnitudes`.

PyTorch computes a mean absolute value in two passes with a temporary matrix, and each operation on a small layer costs
a microsecond or two of overhead. These loops take one pass and a tenth to a third of the time.
"""

from typing import Any

import numpy as np
from numba import njit

# Reordering sums lets the compiler vectorise them; NaN and infinity keep their meaning.
_compiled: Any = njit(cache=True, fastmath={"reassoc", "contract"})


@_compiled
def add_column_magnitudes(x, out):
    """Add mean_i |x_ij| to out_j, for x (rows, columns) and out (columns,)."""
    total = np.zeros_like(out)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total[j] += abs(x[i, j])
    out += total * np.float32(1 / max(x.shape[0], 1))


@_compiled
def column_distances(x, centre):
    """Return mean_i |x_ij - centre_j|, (columns,), of x (rows, columns) and centre (columns,)."""
    total = np.zeros(x.shape[1], np.float32)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total[j] += abs(x[i, j] - centre[j])
    return total * np.float32(1 / max(x.shape[0], 1))


@_compiled
def channel_magnitudes(x):
    """Return mean_ik |x_ijk|, (channels,), of x (batch, channels, space)."""
    out = np.zeros(x.shape[1], np.float32)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total = np.float32(0)
            for k in range(x.shape[2]):
                total += abs(x[i, j, k])
            out[j] += total
    return out * np.float32(1 / max(x.shape[0] * x.shape[2], 1))


@_compiled
def row_magnitudes(x):
    """Return mean_j |x_ij|, (rows,), of x (rows, columns)."""
    out = np.empty(x.shape[0], np.float32)
    for i in range(x.shape[0]):
        total = np.float32(0)
        for j in range(x.shape[1]):
            total += abs(x[i, j])
        out[i] = total / np.float32(x.shape[1])
    return out


@_compiled
def update_statistics(h, w_in, w_out, ages, utility, mean, decay, track_mean, activity, outgoing, incoming, centred):
    """Compute `lop.algos.unit_statistics.UnitStatistics.update` for a layer that feeds a single module.

    w_in (units, fan_in) and w_out (outputs, columns) are incoming and outgoing weights; see `take_in` for the others.
    """
    out_of = np.zeros(h.shape[1], np.float32)
    if outgoing:
        add_column_magnitudes(w_out, out_of)
    into = row_magnitudes(w_in) if incoming else ages
    take_in(h, into, out_of, ages, utility, mean, decay, track_mean, activity, outgoing, incoming, centred)


@_compiled
def take_in(h, into, out_of, ages, utility, mean, decay, track_mean, activity, outgoing, incoming, centred):
    """Update ages, running utilities and mean activations of a layer's units.

    Args:
        h: activations (samples, columns).
        into: mean absolute incoming weights (units,).
        out_of: mean absolute outgoing weights (columns,).
        ages: ages (units,), updated in place.
        utility: running utilities (units,), updated in place.
        mean: running mean activations (columns,), updated in place.
        decay: decay rate of the running means.
        track_mean: whether to update `mean`.
        activity: see `lop.algos.utilities.Utility`.
        outgoing: see `lop.algos.utilities.Utility`.
        incoming: see `lop.algos.utilities.Utility`.
        centred: see `lop.algos.utilities.Utility`.
    """
    keep, take, one = np.float32(decay), np.float32(1 - decay), np.float32(1)
    samples, columns = h.shape
    inputs = columns // len(ages)  # columns per unit
    total, centre = np.zeros(columns, np.float32), np.zeros(columns, np.float32)
    if track_mean:
        for i in range(samples):
            for j in range(columns):
                total[j] += h[i, j]
        for j in range(columns):
            mean[j] = keep * mean[j] + take * (total[j] / np.float32(samples))
            total[j] = 0
    for u in range(len(ages)):
        ages[u] += one
        if centred:
            unit_mean = np.float32(0)
            for j in range(u * inputs, (u + 1) * inputs):
                unit_mean += mean[j]
            unit_mean /= np.float32(inputs) * (one - keep ** ages[u])
            for j in range(u * inputs, (u + 1) * inputs):
                centre[j] = unit_mean
    if activity:
        for i in range(samples):
            for j in range(columns):
                total[j] += abs(h[i, j] - centre[j])
    for u in range(len(ages)):
        y = np.float32(0)
        for j in range(u * inputs, (u + 1) * inputs):
            factor = total[j] / np.float32(samples) if activity else one
            y += factor * out_of[j] if outgoing else factor
        y /= np.float32(inputs)
        if incoming:
            y /= into[u]
        utility[u] = keep * utility[u] + take * y
