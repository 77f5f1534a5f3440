"""The learner of per-example experiments: `lop.algos` on the compiled kernel, with all of its state in arrays."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from lop.algos.utilities import UTILITIES
from lop.engines.activations import ACTIVATIONS, apply_activation
from lop.engines.generator import normal_table
from lop.engines.online.kernel import kernel
from lop.engines.online.late import late as make_late
from lop.engines.online.layout import LOSSES, OPTIMIZERS, KernelSpec, Settings, new_state, shape_of
from lop.nets.numerics import NORM_CLAMP, NORM_EPS, gain, uniform_bound

Layer = tuple[np.ndarray, np.ndarray]  # weights (outputs, inputs), biases (outputs,)


class Examples(NamedTuple):
    """Inputs that are mostly zero, by what is not: in example e, values[start[e]:start[e + 1]] at those indices.

    Not to be changed once learned from."""

    start: np.ndarray  # (examples + 1,) int64
    indices: np.ndarray  # int64, ascending in an example
    values: np.ndarray  # float32
    targets: np.ndarray  # (examples,) float32


def examples(inputs: np.ndarray, targets: np.ndarray) -> Examples:
    """Examples of dense inputs (examples, inputs) and targets (examples,)."""
    inputs, targets = np.asarray(inputs), np.asarray(targets, np.float32)
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(f"Invalid shapes: {inputs.shape}, {targets.shape} (allowed: (examples, inputs), (examples,))")
    rows, columns = np.nonzero(inputs)
    start = np.searchsorted(rows, np.arange(len(inputs) + 1))
    return Examples(start, np.ascontiguousarray(columns), inputs[rows, columns].astype(np.float32), targets)


def _within(name: str, values: np.ndarray, end: int) -> None:
    if len(values) and not 0 <= values.min() <= values.max() < end:
        raise ValueError(f"Invalid {name} {values.min():g} to {values.max():g} (allowed: 0 to {end - 1})")


def _must_fit(network: Sequence[Layer]) -> None:
    """Weights (outputs, inputs) and biases (outputs,), each layer's inputs the outputs of the one before."""
    found = [(np.shape(weights), np.shape(biases)) for weights, biases in network]
    fits = bool(found) and all(len(w) == 2 and b == w[:1] for w, b in found)
    if not fits or any(above[0][1] != below[0][0] for below, above in pairwise(found)):
        raise ValueError(f"Invalid network: shapes {found} (allowed: (outputs, inputs), (outputs,) of layers that fit)")


def _one_of(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise ValueError(f"Invalid {name}: {value!r} (allowed: {', '.join(allowed)})")


def _from_zero(name: str, number: float, below: float = np.inf) -> None:
    if not 0 <= number < below:
        raise ValueError(f"Invalid {name}: {number} (allowed: 0 up to, not including, {below})")


class _Rows(NamedTuple):
    """A layer in memory; scales and shifts have no row unless the layer is normalised."""

    weights: np.ndarray  # (inputs, outputs)
    biases: np.ndarray  # (outputs,)
    scales: np.ndarray  # (0 or 1, outputs)
    shifts: np.ndarray


class OnlineLearner:
    """Backpropagation, L2, shrink and perturb, Adam, dropout, online normalisation, and continual backpropagation, one
    example at a time.

    What `lop.algos.bp.Backprop` and `lop.algos.cbp.ContinualBackprop` compute, to rounding: with the same initial
    weights, data and seed the same losses, weights, replaced units and new weights. Two things differ: the noise of
    shrink and perturb and the choice of dropout come from the same generator, but are not torch's; and of units of
    equal utility, such as several that were never active, the first goes, where torch takes any.

    Denormal numbers take a processor forty times as long: call `torch.set_flush_denormal(True)` before.

    Args:
        network: its layers' weights and biases, first to last; none for hidden layers makes a linear network.
        activation: of hidden units.
        loss: `mse`, the squared error of one output, or `nll`, the negative log likelihood of classes after softmax.
        opt: `sgd`, `adam`, or `adam_gnt` for continual backpropagation's Adam.
        perturb_scale: standard deviation of the noise after each step.
        dropout: probability of zeroing a hidden activation while learning.
        online_norm: decay rates (forward, backward) of `lop.nets.online_norm`, which then normalises the sums of all
            hidden layers; None for none.
        replacement_rate, decay_rate, maturity_threshold, util_type, accumulate, init: see
            `lop.algos.gnt.GenerateAndTest`. Decay rate and utility serve replacement only.
        rng: state of `lop.engines.generator`, which new weights and noise come from; drawn from in place.
        logs: sum up magnitudes of gradients and fractions of inactive units while learning.

    Attributes: `sizes`; `state`, all of its arrays (`lop.engines.online.layout.State`); `settings`, its numbers.

    Raises:
        ValueError: an impossible setting.
    """

    def __init__(
        self,
        network: Sequence[Layer],
        rng: np.ndarray,
        step_size: float,
        activation: str = "relu",
        loss: str = "mse",
        opt: str = "sgd",
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        perturb_scale: float = 0.0,
        dropout: float = 0.0,
        online_norm: tuple[float, float] | None = None,
        replacement_rate: float = 0.0,
        decay_rate: float = 0.99,
        maturity_threshold: float = 100,
        util_type: str = "contribution",
        accumulate: bool = False,
        init: str = "kaiming",
        logs: bool = False,
    ):
        _one_of("activation", activation, ACTIVATIONS)
        _one_of("loss", loss, LOSSES)
        _one_of("opt", opt, OPTIMIZERS)
        _one_of("util_type", util_type, UTILITIES)
        _from_zero("step_size", step_size)
        _from_zero("weight_decay", weight_decay)
        _from_zero("perturb_scale", perturb_scale)
        _from_zero("maturity_threshold", maturity_threshold)
        _from_zero("dropout", dropout, 1)
        for name, rates in (("betas", betas), ("online_norm", online_norm or (0, 0)), ("decay_rate", [decay_rate])):
            for rate in rates:
                _from_zero(name, rate, 1)
        if not 0 <= replacement_rate <= 1:
            raise ValueError(f"Invalid replacement_rate: {replacement_rate} (allowed: 0 to 1)")
        if not 1e-30 <= eps < np.inf:
            raise ValueError(f"Invalid eps: {eps} (allowed: 1e-30 and more)")
        if replacement_rate > 0 and (dropout or online_norm):
            raise ValueError(f"Invalid replacement_rate: {replacement_rate} (allowed: 0 with dropout or online_norm)")
        _must_fit(network)
        self.sizes = (network[0][0].shape[1], *(len(weights) for weights, _ in network))
        if loss == "mse" and self.sizes[-1] != 1:
            raise ValueError(f"Invalid network: {self.sizes[-1]} outputs (allowed: 1 with loss 'mse')")

        replaces, kept = replacement_rate > 0, 1 - step_size * weight_decay  # of a weight, by an example's decay
        late = opt == "sgd" and kept > 0 and not replaces and not online_norm
        late = late and (weight_decay > 0 or perturb_scale > 0)
        self.spec = KernelSpec(
            self.sizes,
            activation,
            loss,
            opt,
            weight_decay > 0,
            perturb_scale > 0,
            replaces,
            util_type if replaces else "contribution",
            accumulate,
            dropout > 0,
            online_norm is not None,
            late,
            logs,
        )
        numbers = (
            *(step_size / kept if late else step_size, weight_decay, *betas, eps, perturb_scale),
            *(decay_rate, maturity_threshold, dropout, *(online_norm or (0.0, 0.0)), NORM_EPS, NORM_CLAMP),
        )
        self.settings = Settings._make([*map(np.float32, numbers), replacement_rate])
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        init = "lecun" if activation == "selu" else init
        self.bounds = np.array([uniform_bound(i, o, init, gain(activation)) for i, o in pairs])
        normal = normal_table() if perturb_scale > 0 else np.zeros(0, np.float32)
        self._late = partial(make_late, kept if late else 1.0, perturb_scale, normal)
        self.late = self._late(0)
        self._checked: Examples | None = None
        self.shape = shape_of(self.spec)
        self.state = new_state(self.spec, rng)
        for index, (weights, biases) in enumerate(network):
            rows = self._rows(index)
            rows.weights[...], rows.biases[...], rows.scales[...] = weights.T, biases, 1

    def learn(self, stream: Examples, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Learn from the examples in that order, (n,) integers; returns losses (n,) float32 and predicted classes (n,)
        int16 (-1 without classes), both of before learning.

        The same calls give the same numbers. Where one is cut in two, weight decay is rounded otherwise, and noise is
        drawn otherwise, from the same distribution."""
        order = np.asarray(order)
        if order.ndim != 1 or (len(order) and not np.issubdtype(order.dtype, np.integer)):
            raise ValueError(f"Invalid order: {order.dtype} {order.shape} (allowed: integers (n,))")
        order = np.ascontiguousarray(order, np.int64)
        _within("order", order, len(stream.targets))
        if stream is not self._checked:
            self._check(stream)
        losses, predicted = np.empty(len(order), np.float32), np.empty(len(order), np.int16)
        if len(self.late.decay) <= len(order):
            self.late = self._late(len(order))
        kernel(self.spec)(order, stream, self.settings, self.state, self.bounds, self.late, losses, predicted)
        return losses, predicted

    def _check(self, stream: Examples) -> None:
        """Compiled code would read and write beyond its arrays."""
        wanted = {"start": np.int64, "indices": np.int64, "values": np.float32, "targets": np.float32}
        for name, dtype in wanted.items():
            array = getattr(stream, name)
            if array.dtype != dtype or array.ndim != 1:
                raise ValueError(f"Invalid stream: {name} {array.dtype} {array.shape} (allowed: {dtype.__name__} (n,))")
        start, ends = stream.start, (0, len(stream.indices), len(stream.values), len(stream.targets) + 1)
        if (start[0], start[-1], start[-1], len(start)) != ends or (np.diff(start) < 0).any():
            raise ValueError(
                "Invalid stream: start (allowed: from 0 up to the number of values, one more than targets)"
            )
        descends = np.r_[False, np.diff(stream.indices) <= 0]
        descends[start[:-1][start[:-1] < len(descends)]] = False
        if descends[: len(stream.indices)].any():
            raise ValueError("Invalid stream: indices (allowed: ascending in an example)")
        _within("stream: input", stream.indices, self.sizes[0])
        if self.shape.classifies:
            _within("stream: class", stream.targets, self.sizes[-1])
            if (stream.targets % 1).any():
                raise ValueError("Invalid stream: class (allowed: whole numbers)")
        self._checked = stream

    def layer(self, index: int) -> Layer:
        """Weights (outputs, inputs) and biases (outputs,) of a layer, as views to be read."""
        weights, biases = self._rows(index)[:2]
        weights, biases = weights.T, biases[:]
        weights.flags.writeable = biases.flags.writeable = False  # sums of weights would not know
        return weights, biases

    def _rows(self, index: int) -> "_Rows":
        start, end, width = self.shape.offsets[index], self.shape.offsets[index + 1], self.shape.widths[index]
        rows = self.state.weights[start:end].reshape(-1, width)[:, : self.sizes[index + 1]]
        inputs = self.sizes[index]
        return _Rows(rows[:inputs], rows[inputs], rows[inputs + 1 : inputs + 2], rows[inputs + 2 : inputs + 3])

    def _units(self, values: np.ndarray, layer: int) -> np.ndarray:
        """A hidden layer's part of one of the state's arrays."""
        start = self.shape.units_at[layer]
        return values[start : start + self.sizes[layer + 1]]

    def hidden(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Return the activations (n, units) of every hidden layer for inputs (n, inputs), in evaluation mode."""
        found, h = [], np.asarray(inputs, np.float32)
        for layer in range(len(self.sizes) - 2):
            rows = self._rows(layer)
            h = h @ rows.weights + rows.biases
            if self.spec.normalises:
                mean, var = (self._units(values, layer) for values in (self.state.norm_mean, self.state.norm_var))
                scales = rows.scales / np.sqrt(var + np.float32(NORM_EPS))
                h = np.clip((h - mean) * scales + rows.shifts, -NORM_CLAMP, NORM_CLAMP)
            apply_activation(self.shape.activation, h.reshape(-1))
            found.append(h)
        return found

    def weight_magnitudes(self) -> list[float]:
        """Mean absolute weight of every layer."""
        return [float(np.abs(self.layer(index)[0]).mean()) for index in range(len(self.sizes) - 1)]

    def ages(self, layer: int) -> np.ndarray:
        """Steps since a unit of a hidden layer was new, (units,)."""
        return self._units(self.state.ages, layer)

    def state_dict(self) -> dict[str, Any]:
        """Return the method and all arrays, which share memory with the learner."""
        return {"spec": repr(self.spec), **self.state._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called; ValueError if that was a learner of another spec."""
        if state["spec"] != repr(self.spec):
            raise ValueError(f"Invalid state: of {state['spec']} (allowed: {self.spec})")
        for name, array in self.state._asdict().items():
            array[...] = state[name]
