"""What continual backpropagation spends its time on, compiled for the CPU; `lop.algos.magnitudes` calls it.

Torch takes two passes and a temporary matrix for a mean absolute value, and a microsecond or two for every operation on
the few hundred numbers of a small layer. These loops take one pass, in a third to a tenth of the time.
"""

from typing import Any

import numpy as np
from numba import njit

# Sums in another order than written let the compiler use vector instructions; NaN and infinity keep their meaning.
_compiled: Any = njit(cache=True, fastmath={"reassoc", "contract"})


@_compiled
def add_column_magnitudes(x, out):
    """out_j += mean_i |x_ij|."""
    total = np.zeros_like(out)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total[j] += abs(x[i, j])
    out += total * np.float32(1 / max(x.shape[0], 1))


@_compiled
def column_distances(x, centre):
    total = np.zeros(x.shape[1], np.float32)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total[j] += abs(x[i, j] - centre[j])
    return total * np.float32(1 / max(x.shape[0], 1))


@_compiled
def channel_magnitudes(x):
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
    out = np.empty(x.shape[0], np.float32)
    for i in range(x.shape[0]):
        total = np.float32(0)
        for j in range(x.shape[1]):
            total += abs(x[i, j])
        out[i] = total / np.float32(x.shape[1])
    return out


@_compiled
def update_statistics(h, w_in, w_out, ages, utility, mean, decay, track_mean, activity, outgoing, incoming, centred):
    """`lop.algos.unit_statistics.UnitStatistics.update` for a layer that feeds one other.

    w_in (units, fan_in), w_out (outputs, columns); for the rest see `take_in`.
    """
    out_of = np.zeros(h.shape[1], np.float32)
    if outgoing:
        add_column_magnitudes(w_out, out_of)
    into = row_magnitudes(w_in) if incoming else ages
    take_in(h, into, out_of, ages, utility, mean, decay, track_mean, activity, outgoing, incoming, centred)


@_compiled
def take_in(h, into, out_of, ages, utility, mean, decay, track_mean, activity, outgoing, incoming, centred):
    """Update the statistics of a layer's units by activations h (samples, columns).

    into (units,) and out_of (columns,) are mean magnitudes of incoming and outgoing weights; ages, utility (units,) and
    mean (columns,) are updated. The last four are a `lop.algos.utilities.Utility`.
    """
    keep, take, one = np.float32(decay), np.float32(1 - decay), np.float32(1)
    samples, columns = h.shape
    inputs = columns // len(ages)  # columns of a unit
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
