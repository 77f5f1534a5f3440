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

    h (samples, columns), w_in (units, fan_in), w_out (outputs, columns); ages, utility (units,) and mean (columns,) are
    updated. The last four are a `lop.algos.utilities.Utility`.
    """
    keep, take = np.float32(decay), np.float32(1 - decay)
    samples, columns = h.shape
    inputs = columns // len(ages)  # columns of a unit
    y = np.ones(columns, np.float32)
    ages += np.float32(1)
    if track_mean:
        total = np.zeros(columns, np.float32)
        for i in range(samples):
            for j in range(columns):
                total[j] += h[i, j]
        for j in range(columns):
            mean[j] = keep * mean[j] + take * (total[j] / np.float32(samples))
    if activity:
        y[:] = 0
        if centred:
            centre = np.repeat(_by_unit(mean, inputs) / (np.float32(1) - keep**ages), inputs)
            for i in range(samples):
                for j in range(columns):
                    y[j] += abs(h[i, j] - centre[j])
        else:
            for i in range(samples):
                for j in range(columns):
                    y[j] += abs(h[i, j])
        y /= np.float32(samples)
    if outgoing:
        magnitude = np.zeros(columns, np.float32)
        add_column_magnitudes(w_out, magnitude)
        y *= magnitude
    own = _by_unit(y, inputs)
    if incoming:
        own /= row_magnitudes(w_in)
    for j in range(len(own)):
        utility[j] = keep * utility[j] + take * own[j]


@_compiled
def _by_unit(columns, inputs):
    """Mean (units,) of values (columns,) over the columns of each unit."""
    out = np.empty(len(columns) // inputs, np.float32)
    for i in range(len(out)):
        total = np.float32(0)
        for j in range(inputs):
            total += columns[i * inputs + j]
        out[i] = total / np.float32(inputs)
    return out
