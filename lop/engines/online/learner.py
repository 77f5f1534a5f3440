"""Learner of the per-example experiments: `lop.algos` on a compiled kernel, with its complete state in arrays."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from lop.algos.examples import Examples
from lop.algos.utilities import UTILITIES
from lop.engines.activations import ACTIVATIONS, apply_activation
from lop.engines.generator import normal_table
from lop.engines.online.kernel import kernel
from lop.engines.online.late import late as make_late
from lop.engines.online.layout import LOSSES, OPTIMIZERS, KernelSpec, Settings, new_state, shape_of
from lop.nets.numerics import NORM_CLAMP, NORM_EPS, gain, uniform_bound

Layer = tuple[np.ndarray, np.ndarray]  # weights (outputs, inputs), biases (outputs,)


def _within(name: str, values: np.ndarray, end: int) -> None:
    if len(values) and not 0 <= values.min() <= values.max() < end:
        raise ValueError(f"{name} must be between 0 and {end - 1}, got {values.min():g} to {values.max():g}")


def _must_fit(network: Sequence[Layer]) -> None:
    """Raise ValueError unless each layer takes the outputs of the one before."""
    found = [(np.shape(weights), np.shape(biases)) for weights, biases in network]
    fits = bool(found) and all(len(w) == 2 and b == w[:1] for w, b in found)
    if not fits or any(above[0][1] != below[0][0] for below, above in pairwise(found)):
        raise ValueError(f"network must have shapes (outputs, inputs), (outputs,) that fit, got {found}")


def _one_of(name: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _from_zero(name: str, number: float, below: float = np.inf) -> None:
    if not 0 <= number < below:
        raise ValueError(f"{name} must be at least 0 and below {below}, got {number}")


class _Rows(NamedTuple):
    """Views of a layer in memory; scales and shifts have no rows without normalisation."""

    weights: np.ndarray  # (inputs, outputs)
    biases: np.ndarray  # (outputs,)
    scales: np.ndarray  # (0 or 1, outputs)
    shifts: np.ndarray


class OnlineLearner:
    """Per-example learner with all methods of the paper.

    It supports backpropagation, L2 regularisation, shrink and perturb, Adam, dropout, online normalisation and
    continual backpropagation. Results equal those of `lop.algos.bp.Backprop` and `lop.algos.cbp.ContinualBackprop` up
    to rounding: with the same initial weights, data and seed, losses, weights and replaced units are the same. There
    are two exceptions. The noise of shrink and perturb and the units that dropout zeroes are drawn from the same
    generator, but differ from PyTorch's. Among units of equal utility, such as units that were never active, the first
    is replaced; PyTorch may choose another one.

    Denormal numbers slow the CPU down forty times: call `torch.set_flush_denormal(True)` first.

    Args:
        network: Weights and biases of all layers, in order. A single layer is a linear network.
        rng: State of `lop.engines.generator`, from which noise and weights of new units are drawn; updated in place.
        step_size: Step size of the optimizer.
        activation: Activation of hidden units, one of `ACTIVATIONS`.
        loss: `mse`, the squared error of a single output, or `nll`, the negative log likelihood of classes after
            softmax.
        opt: `sgd`, `adam`, or `adam_gnt` for the Adam of continual backpropagation.
        betas: Decay rates of Adam's moments.
        eps: Epsilon of Adam, at least 1e-30.
        weight_decay: L2 regularisation.
        perturb_scale: Standard deviation of the noise after each step.
        dropout: Probability of zeroing a hidden activation while learning.
        online_norm: Decay rates (forward, backward) of `lop.nets.online_norm`, applied before each hidden activation;
            None disables it.
        replacement_rate: See `lop.algos.gnt.GenerateAndTest`; must be 0 with `dropout` or `online_norm`.
        decay_rate: See `lop.algos.gnt.GenerateAndTest`.
        maturity_threshold: See `lop.algos.gnt.GenerateAndTest`.
        util_type: See `lop.algos.gnt.GenerateAndTest`.
        accumulate: See `lop.algos.gnt.GenerateAndTest`.
        init: Distribution of weights of new units; see `lop.algos.gnt.GnT`.
        logs: Accumulate gradient magnitudes and fractions of inactive units while learning.

    Attributes:
        sizes: Numbers of inputs, of units of each hidden layer, and of outputs.
        state: Arrays of the learner, `lop.engines.online.layout.State`.
        settings: Numbers of the method, `lop.engines.online.layout.Settings`.
        callbacks: None; the compiled learner supports no callbacks.

    Raises:
        ValueError: If an argument is out of range.
    """

    callbacks: tuple[()] = ()

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
            raise ValueError(f"replacement_rate must be between 0 and 1, got {replacement_rate}")
        if not 1e-30 <= eps < np.inf:
            raise ValueError(f"eps must be finite and at least 1e-30, got {eps}")
        if replacement_rate > 0 and (dropout or online_norm):
            raise ValueError(f"replacement_rate must be 0 with dropout or online_norm, got {replacement_rate}")
        _must_fit(network)
        self.sizes = (network[0][0].shape[1], *(len(weights) for weights, _ in network))
        if loss == "mse" and self.sizes[-1] != 1:
            raise ValueError(f"network must have 1 output with loss 'mse', got {self.sizes[-1]}")

        replaces, kept = replacement_rate > 0, 1 - step_size * weight_decay  # factor of weight decay per example
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
        """Learn from examples in the given order.

        The same sequence of calls gives the same results. If a call is split into two, lazy weight decay is rounded
        differently and noise is drawn differently, from the same distribution.

        Args:
            stream: Examples.
            order: Indices of the examples (n,), integers.

        Returns:
            Losses (n,) float32 and predicted classes (n,) int16 (-1 with loss `mse`), each before learning from the
            example.

        Raises:
            ValueError: If the examples do not fit the network, or an index is out of range.
        """
        order = np.asarray(order)
        if order.ndim != 1 or (len(order) and not np.issubdtype(order.dtype, np.integer)):
            raise ValueError(f"order must be integers (n,), got {order.dtype} {order.shape}")
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
        """Raise ValueError for examples with which compiled code would access memory out of bounds."""
        wanted = {"start": np.int64, "indices": np.int64, "values": np.float32, "targets": np.float32}
        for name, dtype in wanted.items():
            array = getattr(stream, name)
            if array.dtype != dtype or array.ndim != 1:
                raise ValueError(f"stream: {name} must be {dtype.__name__} (n,), got {array.dtype} {array.shape}")
        start, ends = stream.start, (0, len(stream.indices), len(stream.values), len(stream.targets) + 1)
        if (start[0], start[-1], start[-1], len(start)) != ends or (np.diff(start) < 0).any():
            raise ValueError(
                "stream: start must be non-decreasing from 0 to the number of values, one entry more than targets"
            )
        descends = np.r_[False, np.diff(stream.indices) <= 0]
        descends[start[:-1][start[:-1] < len(descends)]] = False
        if descends[: len(stream.indices)].any():
            raise ValueError("stream: indices must be ascending in each example")
        _within("stream: input", stream.indices, self.sizes[0])
        if self.shape.classifies:
            _within("stream: class", stream.targets, self.sizes[-1])
            if (stream.targets % 1).any():
                raise ValueError("stream: class must be a whole number")
        self._checked = stream

    def layer(self, index: int) -> Layer:
        """Return read-only views of the weights (outputs, inputs) and biases (outputs,) of a layer.

        Args:
            index: Index of the layer.
        """
        weights, biases = self._rows(index)[:2]
        weights, biases = weights.T, biases[:]
        weights.flags.writeable = biases.flags.writeable = False  # sums of weights would become outdated
        return weights, biases

    def _rows(self, index: int) -> "_Rows":
        start, end, width = self.shape.offsets[index], self.shape.offsets[index + 1], self.shape.widths[index]
        rows = self.state.weights[start:end].reshape(-1, width)[:, : self.sizes[index + 1]]
        inputs = self.sizes[index]
        return _Rows(rows[:inputs], rows[inputs], rows[inputs + 1 : inputs + 2], rows[inputs + 2 : inputs + 3])

    def _units(self, values: np.ndarray, layer: int) -> np.ndarray:
        """Return the part of an array that belongs to a hidden layer."""
        start = self.shape.units_at[layer]
        return values[start : start + self.sizes[layer + 1]]

    def hidden(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Compute hidden activations in evaluation mode.

        Args:
            inputs: Inputs (n, inputs).

        Returns:
            Activations (n, units), one array per hidden layer.
        """
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

    def weights(self) -> list[np.ndarray]:
        """Return read-only views of the weights of all layers, each (outputs, inputs)."""
        return [self.layer(index)[0] for index in range(len(self.sizes) - 1)]

    @property
    def log(self) -> np.ndarray:
        """Sums over all examples since the caller last set them to 0, with `logs`; see `lop.algos.online`."""
        return self.state.log[:2]

    def ages(self, layer: int) -> np.ndarray:
        """Return the steps since each unit of a hidden layer was replaced or created, (units,)."""
        return self._units(self.state.ages, layer)

    def state_dict(self) -> dict[str, Any]:
        """Return the spec and all arrays, which share memory with the learner."""
        return {"spec": repr(self.spec), **self.state._asdict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned.

        Args:
            state: State.

        Raises:
            ValueError: If the state is of a learner with another spec.
        """
        if state["spec"] != repr(self.spec):
            raise ValueError(f"state must be of {self.spec}, got {state['spec']}")
        for name, array in self.state._asdict().items():
            array[...] = state[name]
