"""The learner of per-example experiments: `lop.algos` on the compiled kernel, with all of its state in arrays."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch

from lop.algos.utilities import UTILITIES
from lop.nets.initialisation import gain, uniform_bound
from lop.online.activations import ACTIVATIONS
from lop.online.generator import normal_table
from lop.online.kernel import kernel
from lop.online.layout import LOSSES, OPTIMIZERS, Method, Settings, new_state, shape_of

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


class OnlineLearner:
    """Backpropagation, L2, shrink and perturb, Adam, and continual backpropagation, one example at a time.

    What `lop.algos.bp.Backprop` and `lop.algos.cbp.ContinualBackprop` compute, to rounding: with the same initial
    weights, data and seed the same losses, weights, replaced units and new weights. Two things differ: the noise of
    shrink and perturb comes from the same generator, but is not torch's; and of units of equal utility, such as several
    that were never active, the first goes, where torch takes any.

    Numbers near 0 (denormals) take a processor forty times as long: call `torch.set_flush_denormal(True)` before.

    Args:
        network: its layers' weights and biases, first to last; none for hidden layers makes a linear network.
        activation: of hidden units.
        loss: `mse`, the squared error of one output, or `nll`, the negative log likelihood of classes after softmax.
        opt: `sgd`, `adam`, or `adam_gnt` for continual backpropagation's Adam.
        perturb_scale: standard deviation of the noise after each step.
        replacement_rate, decay_rate, maturity_threshold, util_type, accumulate, init: see
            `lop.algos.gnt.GenerateAndTest`. Decay rate and utility serve replacement only.
        rng: state of `lop.online.generator`, which new weights and noise come from; drawn from in place.
        logs: sum up magnitudes of gradients and shares of inactive units while learning.

    Attributes: `sizes`; `state`, all of its arrays (`lop.online.layout.State`); `settings`, its numbers.

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
        replacement_rate: float = 0.0,
        decay_rate: float = 0.99,
        maturity_threshold: float = 100,
        util_type: str = "contribution",
        accumulate: bool = False,
        init: str = "kaiming",
        logs: bool = False,
    ):
        for name, value, allowed in (
            ("activation", activation, ACTIVATIONS),
            ("loss", loss, LOSSES),
            ("opt", opt, OPTIMIZERS),
            ("util_type", util_type, UTILITIES),
        ):
            if value not in allowed:
                raise ValueError(f"Invalid {name}: {value!r} (allowed: {', '.join(allowed)})")
        for name, number, below in (
            ("step_size", step_size, np.inf),
            ("weight_decay", weight_decay, np.inf),
            ("perturb_scale", perturb_scale, np.inf),
            ("maturity_threshold", maturity_threshold, np.inf),
            ("decay_rate", decay_rate, 1),
            ("betas", betas[0], 1),
            ("betas", betas[1], 1),
        ):
            if not 0 <= number < below:
                raise ValueError(f"Invalid {name}: {number} (allowed: 0 up to, not including, {below})")
        if not 0 <= replacement_rate <= 1:
            raise ValueError(f"Invalid replacement_rate: {replacement_rate} (allowed: 0 to 1)")
        if not 1e-30 <= eps < np.inf:
            raise ValueError(f"Invalid eps: {eps} (allowed: 1e-30 and more)")
        _must_fit(network)
        self.sizes = (network[0][0].shape[1], *(len(weights) for weights, _ in network))
        if loss == "mse" and self.sizes[-1] != 1:
            raise ValueError(f"Invalid network: {self.sizes[-1]} outputs (allowed: 1 with loss 'mse')")
        replaces = replacement_rate > 0
        self.method = Method(
            self.sizes,
            activation,
            loss,
            opt,
            weight_decay > 0,
            perturb_scale > 0,
            replaces,
            util_type if replaces else "contribution",
            accumulate,
            logs,
        )
        numbers = (step_size, weight_decay, *betas, eps, perturb_scale, decay_rate, maturity_threshold)
        self.settings = Settings._make([*map(np.float32, numbers), replacement_rate])
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        init = "lecun" if activation == "selu" else init
        self.bounds = np.array([uniform_bound(i, o, init, gain(activation)) for i, o in pairs])
        self.normal = normal_table() if perturb_scale > 0 else np.zeros(0, np.float32)
        self._checked: Examples | None = None
        self.shape = shape_of(self.method)
        self.state = new_state(self.method, rng)
        for index, (weights, biases) in enumerate(network):
            here_weights, here_biases = self._layer(index)
            here_weights[...], here_biases[...] = weights, biases

    def learn(self, stream: Examples, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Learn from the examples in that order, (n,) integers; returns losses (n,) float32 and predicted classes (n,)
        int16 (-1 without classes), both of before learning."""
        order = np.asarray(order)
        if order.ndim != 1 or (len(order) and not np.issubdtype(order.dtype, np.integer)):
            raise ValueError(f"Invalid order: {order.dtype} {order.shape} (allowed: integers (n,))")
        order = np.ascontiguousarray(order, np.int64)
        _within("order", order, len(stream.targets))
        if stream is not self._checked:
            self._check(stream)
        losses, predicted = np.empty(len(order), np.float32), np.empty(len(order), np.int16)
        kernel(self.method)(order, stream, self.settings, self.state, self.bounds, self.normal, losses, predicted)
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
        weights, biases = self._layer(index)
        weights.flags.writeable = biases.flags.writeable = False  # sums of weights would not know
        return weights, biases

    def _layer(self, index: int) -> Layer:
        start, end, width = self.shape.offsets[index], self.shape.offsets[index + 1], self.shape.widths[index]
        rows, outputs = self.state.weights[start:end].reshape(-1, width), self.sizes[index + 1]
        return rows[:-1, :outputs].T, rows[-1, :outputs]

    def weight_magnitudes(self) -> list[float]:
        """Mean absolute weight of every layer."""
        return [float(np.abs(self.layer(index)[0]).mean()) for index in range(len(self.sizes) - 1)]

    def ages(self, layer: int) -> np.ndarray:
        """Steps since a unit of a hidden layer was new, (units,)."""
        start = self.shape.units_at[layer]
        return self.state.ages[start : start + self.sizes[layer + 1]]

    def state_dict(self) -> dict[str, Any]:
        arrays = {name: torch.from_numpy(array) for name, array in self.state._asdict().items()}
        return {"method": repr(self.method), **arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called; ValueError if that was a learner of another method."""
        if state["method"] != repr(self.method):
            raise ValueError(f"Invalid state: of {state['method']} (allowed: {self.method})")
        for name, array in self.state._asdict().items():
            array[...] = state[name].numpy()
