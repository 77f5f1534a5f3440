"""How a network lies in memory, what a kernel is compiled for, and the arrays that it works on.

Weights are stored by input, W[i] being what input i feeds, so that only rows of inputs that are not zero are touched.
After them come a layer's biases and, where it is normalised, the scales and shifts of its units, a row each. Rows are
padded with zeros to a multiple of the vector width. All layers' weights lie in one array, and so do all units' values.
"""

from typing import NamedTuple

import numpy as np

from lop.algos.utilities import UTILITIES
from lop.engines.activations import ACTIVATIONS

LANES = 8  # float32 in a vector register of AVX2
OPTIMIZERS = ("sgd", "adam", "adam_gnt")
LOSSES = ("mse", "nll")


class KernelSpec(NamedTuple):
    """All that a kernel is compiled for; see `lop.engines.online.learner.OnlineLearner`."""

    sizes: tuple[int, ...]  # inputs, hidden layers, outputs
    activation: str = "relu"
    loss: str = "mse"
    optimizer: str = "sgd"
    weight_decay: bool = False
    perturbs: bool = False
    replaces: bool = False
    utility: str = "contribution"
    accumulate: bool = True
    drops: bool = False
    normalises: bool = False
    late: bool = False  # decay and noise of a row of weights wait until the row is needed, `lop.engines.online.late`
    logs: bool = False  # magnitudes of gradients and fractions of inactive units


class Shape(NamedTuple):
    """A network in memory, constants to the compiler."""

    n_layers: int
    sizes: tuple[int, ...]  # inputs, hidden layers, outputs
    widths: tuple[int, ...]  # of a layer's rows
    offsets: tuple[int, ...]  # where a layer's rows begin among all weights, with their end
    rows_at: tuple[int, ...]  # where a layer's rows begin among all rows, with their end
    units_at: tuple[int, ...]  # where a layer's units, from the first hidden layer on, begin among all, with their end
    activation: int  # index of ACTIVATIONS
    drops: bool  # hidden units, at random
    normalises: bool  # hidden units, online
    classifies: bool  # softmax and negative log likelihood, rather than squared error


class Rule(NamedTuple):
    """What is done with a network, constants to the compiler."""

    adam: bool
    adam_gnt: bool
    decays: bool  # in an example's own step
    dense: bool  # whether every weight is moved at every example
    late: bool
    perturbs: bool
    replaces: bool
    uses_activity: bool
    uses_outgoing: bool
    uses_incoming: bool
    centred: bool
    random_utility: bool
    accumulate: bool
    logs: bool


class Settings(NamedTuple):
    """Numbers that may change without compiling anew."""

    step_size: np.float32
    weight_decay: np.float32
    beta_1: np.float32
    beta_2: np.float32
    eps: np.float32
    perturb_scale: np.float32
    decay_rate: np.float32
    maturity_threshold: np.float32
    dropout: np.float32
    alpha_forward: np.float32
    alpha_backward: np.float32
    norm_eps: np.float32
    norm_clamp: np.float32
    replacement_rate: float


class State(NamedTuple):
    """All arrays of a learner; float32 if not said otherwise."""

    weights: np.ndarray  # (weights,)
    moments: np.ndarray  # Adam's first and second, (weights,) or (0,)
    squares: np.ndarray
    decayed: np.ndarray  # decay rate of the second moment to the power of a weight's age, (weights,) or (0,)
    clock: np.ndarray  # (3,) float64: examples seen, Adam's decay rates to their power
    z: np.ndarray  # (units,): sums, activations, gradients of the sums
    h: np.ndarray
    delta: np.ndarray
    kept: np.ndarray  # (units,) or (0,): what dropout multiplies a unit by
    norm_mean: np.ndarray  # (units,) or (0,): running mean and variance of the sums, `lop.nets.online_norm`
    norm_var: np.ndarray
    norm_scale: np.ndarray  # what the sum of this example is divided by, and what that gives
    norm_output: np.ndarray
    norm_gradient: np.ndarray  # of the units' scales
    output_error: np.ndarray  # accumulated errors of the backward pass
    mean_error: np.ndarray
    current: np.ndarray  # (rows,) int64: how many of this call's examples have decayed and perturbed a row
    rows: np.ndarray  # (most units of a hidden layer + 1,) int64: inputs whose rows of weights are touched
    factors: np.ndarray  # and their values
    outgoing: np.ndarray  # (units,): sums of absolute weights out of, and into, each unit
    incoming: np.ndarray
    ages: np.ndarray  # (units,), as `lop.algos.unit_statistics` has them
    utility: np.ndarray
    mean: np.ndarray
    power: np.ndarray  # decay rate of the running means to the power of a unit's age
    due: np.ndarray  # (layers,) int64: units to be renewed now
    owed: np.ndarray  # (layers,) float64: units to be renewed, in fractions
    rng: np.ndarray  # see `lop.engines.generator`
    log: np.ndarray  # (3, layers) float64: sums of gradients' magnitudes, inactive units' fractions, units renewed


def padded(n: int) -> int:
    return -(-n // LANES) * LANES


def shape_of(spec: KernelSpec) -> Shape:
    sizes = spec.sizes
    widths = tuple(padded(n) for n in sizes[1:])
    offsets, rows_at, units_at = [0], [0], [0]
    for layer, (inputs, width) in enumerate(zip(sizes, widths, strict=False)):
        more = 3 if spec.normalises and layer < len(widths) - 1 else 1  # rows
        rows_at.append(rows_at[-1] + inputs + more)
        offsets.append(offsets[-1] + (inputs + more) * width)
        units_at.append(units_at[-1] + width)
    return Shape(
        len(widths),
        sizes,
        widths,
        tuple(offsets),
        tuple(rows_at),
        tuple(units_at),
        ACTIVATIONS.index(spec.activation),
        spec.drops,
        spec.normalises,
        spec.loss == "nll",
    )


def rule_of(spec: KernelSpec) -> Rule:
    adam, adam_gnt = spec.optimizer == "adam", spec.optimizer == "adam_gnt"
    decays = spec.weight_decay and not spec.late
    activity, outgoing, incoming, centred = UTILITIES[spec.utility]
    return Rule(
        adam,
        adam_gnt,
        decays,
        adam or adam_gnt or decays,
        spec.late,
        spec.perturbs,
        spec.replaces,
        activity,
        spec.replaces and outgoing,
        spec.replaces and incoming,
        centred,
        spec.utility == "random",
        spec.accumulate,
        spec.logs,
    )


def new_state(spec: KernelSpec, rng: np.ndarray) -> State:
    """Arrays of a network whose weights are all zero."""
    shape, rule = shape_of(spec), rule_of(spec)
    n_weights, n_units, n_layers = shape.offsets[-1], shape.units_at[-1], shape.n_layers
    adam = rule.adam or rule.adam_gnt
    most_units = max(spec.sizes[1:]) + 1
    units = {
        name: np.zeros(n_units, np.float32)
        for name in ("z", "h", "delta", "outgoing", "incoming", "ages", "utility", "mean")
    }
    normalised = {
        name: _zeros(n_units, spec.normalises)
        for name in (
            "norm_mean",
            "norm_var",
            "norm_scale",
            "norm_output",
            "norm_gradient",
            "output_error",
            "mean_error",
        )
    }
    state = State(
        weights=np.zeros(n_weights, np.float32),
        moments=_zeros(n_weights, adam),
        squares=_zeros(n_weights, adam),
        decayed=_zeros(n_weights, rule.adam_gnt),
        clock=np.array([0.0, 1.0, 1.0]),
        current=_zeros(shape.rows_at[-1], rule.late, np.int64),
        rows=np.zeros(most_units, np.int64),
        factors=np.zeros(most_units, np.float32),
        kept=_zeros(n_units, spec.drops),
        **normalised,
        **units,
        power=np.ones(n_units, np.float32),
        due=np.zeros(n_layers, np.int64),
        owed=np.zeros(n_layers),
        rng=rng,
        log=np.zeros((3, n_layers)),
    )
    state.decayed[...] = state.norm_var[...] = 1
    return state


def _zeros(n: int, needed: bool, dtype: type = np.float32) -> np.ndarray:
    """Zeros (n,), or none of them where a method does not need them, but with their room in memory.

    Vectorised loops are compiled with questions whether arrays overlap, which take each to be as long as it would be if
    it were needed. Were others in its place, a loop that goes number by number would run: five times slower, and with
    sums in another order.
    """
    return np.zeros(n, dtype)[: n if needed else 0]
