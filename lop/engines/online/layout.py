"""Memory layout of a network, constants of a compiled kernel, and the arrays that it works on.

Weights are stored by input: W[i] contains the weights of input i, so that only rows of non-zero inputs are accessed.
These rows are followed by a row of biases and, in normalised layers, a row of scales and a row of shifts. Rows are
padded with zeros to a multiple of the vector width. The weights of all layers are in one array, and so are the values
of all units.
"""

from typing import NamedTuple

import numpy as np

from lop.algos.utilities import UTILITIES
from lop.engines.activations import ACTIVATIONS

LANES = 8  # float32 in a vector register of AVX2
OPTIMIZERS = ("sgd", "adam", "adam_gnt")
LOSSES = ("mse", "nll")


class KernelSpec(NamedTuple):
    """Network and method for which a kernel is compiled; see `lop.engines.online.learner.OnlineLearner`."""

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
    late: bool = False  # decay and noise are applied lazily, `lop.engines.online.late`
    logs: bool = False  # gradient magnitudes and fractions of inactive units


class Shape(NamedTuple):
    """Memory layout of a network, constants for the compiler."""

    n_layers: int
    sizes: tuple[int, ...]  # inputs, hidden layers, outputs
    widths: tuple[int, ...]  # padded lengths of each layer's rows
    offsets: tuple[int, ...]  # start of each layer's rows in the array of all weights, and the end
    rows_at: tuple[int, ...]  # index of each layer's first row among all rows, and the end
    units_at: tuple[int, ...]  # start of each layer's units, from the first hidden layer on, and the end
    activation: int  # index into ACTIVATIONS
    drops: bool  # dropout of hidden units
    normalises: bool  # online normalisation of hidden units
    classifies: bool  # softmax and negative log likelihood instead of squared error


class Rule(NamedTuple):
    """Method, constants for the compiler."""

    adam: bool
    adam_gnt: bool
    decays: bool  # weight decay in each step, not lazily
    dense: bool  # each step changes all weights
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
    """Numbers that may change without recompilation."""

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
    """Arrays of a learner, float32 unless stated otherwise."""

    weights: np.ndarray  # (weights,)
    moments: np.ndarray  # Adam's first moments, (weights,) or (0,)
    squares: np.ndarray  # Adam's second moments, (weights,) or (0,)
    decayed: np.ndarray  # beta_2 to the power of each weight's age, (weights,) or (0,)
    clock: np.ndarray  # (3,) float64: number of examples, Adam's decay rates to the power of it
    z: np.ndarray  # (units,): weighted sums
    h: np.ndarray  # (units,): activations
    delta: np.ndarray  # (units,): gradients of the sums
    kept: np.ndarray  # (units,) or (0,): factors of dropout
    norm_mean: np.ndarray  # (units,) or (0,): running means of the sums, `lop.nets.online_norm`
    norm_var: np.ndarray  # running variances of the sums
    norm_scale: np.ndarray  # divisors of the example's sums
    norm_output: np.ndarray  # normalised sums of the example
    norm_gradient: np.ndarray  # gradients of the scales
    output_error: np.ndarray  # accumulated errors of the backward pass
    mean_error: np.ndarray
    current: np.ndarray  # (rows,) int64: number of the call's examples applied to each row, `lop.engines.online.late`
    rows: np.ndarray  # (largest layer + 1,) int64: inputs whose rows of weights are accessed
    factors: np.ndarray  # (largest layer + 1,): values of these inputs
    outgoing: np.ndarray  # (units,): sums of absolute outgoing weights
    incoming: np.ndarray  # (units,): sums of absolute incoming weights
    ages: np.ndarray  # (units,), see `lop.algos.unit_statistics`
    utility: np.ndarray
    mean: np.ndarray
    power: np.ndarray  # decay rate of the running means to the power of each unit's age
    due: np.ndarray  # (layers,) int64: number of units to replace now
    owed: np.ndarray  # (layers,) float64: fractions of a unit carried over
    rng: np.ndarray  # see `lop.engines.generator`
    log: np.ndarray  # (3, layers) float64: sums of gradient magnitudes, inactive fractions, replaced units


def padded(n: int) -> int:
    """Return the length of a row of n numbers, padded to whole vectors."""
    return -(-n // LANES) * LANES


def shape_of(spec: KernelSpec) -> Shape:
    """Return the memory layout for a spec."""
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
    """Return the method for a spec."""
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
    """Create the arrays of a network with zero weights.

    Args:
        spec: Network and method.
        rng: State of the generator; see `lop.engines.generator`.
    """
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
    """Return zeros (n,), or an empty view of them if the method does not need them.

    Compiled loops check whether arrays overlap, assuming full lengths. If another array occupied the memory of an empty
    one, a scalar loop would run instead of the vectorised one: five times slower, and with sums in a different order.
    """
    return np.zeros(n, dtype)[: n if needed else 0]
