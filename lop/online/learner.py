"""The learner of per-example experiments: `lop.algos` on the compiled kernel, with all of its state in arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from lop.nets.initialisation import gain, uniform_bound
from lop.online.kernel import ACTIVATIONS, OPTIMIZERS, Method, kernel, layout, unit_layout

Layer = tuple[np.ndarray, np.ndarray]  # weights (outputs, inputs), biases (outputs,)


class Examples(NamedTuple):
    """Inputs that are mostly zero, by what is not: in example e, values[start[e]:start[e + 1]] at those indices."""

    start: np.ndarray  # (examples + 1,) int64
    indices: np.ndarray  # int64, ascending in an example
    values: np.ndarray  # float32
    targets: np.ndarray  # (examples,) float32


def examples(inputs: np.ndarray, targets: np.ndarray) -> Examples:
    """Examples of dense inputs (examples, inputs) and targets (examples,)."""
    rows, columns = np.nonzero(inputs)
    start = np.searchsorted(rows, np.arange(len(inputs) + 1))
    return Examples(start, columns, inputs[rows, columns].astype(np.float32), np.asarray(targets, np.float32))


class OnlineLearner:
    """Backpropagation, L2, shrink and perturb, Adam, and continual backpropagation, one example at a time.

    What `lop.algos.bp.Backprop` and `lop.algos.cbp.ContinualBackprop` compute with squared error and one output, to
    rounding: with the same initial weights, data and seed the same errors, weights, replaced units and new weights. The
    noise of shrink and perturb comes from the same generator, but is not torch's.

    Args:
        network: its layers' weights and biases, first to last; none for hidden layers makes a linear network.
        activation: of hidden units. opt: `sgd`, `adam`, or `adam_gnt` for continual backpropagation's Adam.
        perturb_scale: standard deviation of the noise after each step.
        replacement_rate, decay_rate, maturity_threshold, util_type, accumulate, init: see
            `lop.algos.gnt.GenerateAndTest`. Decay rate and utility serve replacement only.
        rng: state of `lop.online.generator`, which new weights and noise come from.
        logs: sum up magnitudes of gradients and shares of inactive units while learning.

    Raises:
        ValueError: an impossible setting.
    """

    def __init__(
        self,
        network: Sequence[Layer],
        rng: np.ndarray,
        step_size: float,
        activation: str = "relu",
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
        if activation not in ACTIVATIONS:
            raise ValueError(f"Invalid activation: {activation!r} (allowed: {', '.join(ACTIVATIONS)})")
        if opt not in OPTIMIZERS:
            raise ValueError(f"Invalid opt: {opt!r} (allowed: {', '.join(OPTIMIZERS)})")
        self.sizes = (network[0][0].shape[1], *(len(weights) for weights, _ in network))
        replaces = replacement_rate > 0
        self.method = Method(
            self.sizes,
            activation,
            opt,
            weight_decay > 0,
            perturb_scale > 0,
            replaces,
            util_type if replaces else "contribution",
            accumulate,
            logs,
        )
        settings = (step_size, weight_decay, *betas, eps, perturb_scale, replacement_rate, maturity_threshold)
        self.settings = np.array([*settings, decay_rate], np.float32)
        self.rate = replacement_rate
        pairs = list(zip(self.sizes, self.sizes[1:], strict=False))
        init = "lecun" if activation == "selu" else init
        self.bounds = np.array([uniform_bound(i, o, init, gain(activation)) for i, o in pairs])
        offsets, widths = layout(self.sizes)
        self.weights = np.zeros(offsets[-1], np.float32)
        self._views = [
            self.weights[start:end].reshape(-1, width)
            for start, end, width in zip(offsets, offsets[1:], widths, strict=False)
        ]
        for view, (weights, biases) in zip(self._views, network, strict=True):
            view[:-1, : len(weights)] = weights.T
            view[-1, : len(weights)] = biases
        size = len(self.weights) if opt != "sgd" else 0
        self.moments, self.squares = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.decayed = np.ones(size if opt == "adam_gnt" else 0, np.float32)
        self.clock = np.array([0.0, 1.0, 1.0])  # examples seen, decay rates to their power
        self.units = np.zeros((8, unit_layout(self.sizes)[-1]), np.float32)
        self.units[6] = 1  # decay rate to the power of ages
        self.owed = np.zeros(len(self.sizes))
        self.rng = rng
        self.log = np.zeros((3, len(self.sizes)))

    def learn(self, stream: Examples, order: np.ndarray) -> np.ndarray:
        """Learn from the examples in that order, (n,) int64; returns their squared errors (n,) before learning."""
        errors = np.empty(len(order), np.float32)
        kernel(self.method)(
            order,
            *stream,
            self.settings,
            self.rate,
            self.weights,
            self.moments,
            self.squares,
            self.decayed,
            self.clock,
            self.units,
            self.owed,
            self.rng,
            self.bounds,
            errors,
            self.log,
        )
        return errors

    def layer(self, index: int) -> Layer:
        """Weights (outputs, inputs) and biases (outputs,) of a layer, as views."""
        view, outputs = self._views[index], self.sizes[index + 1]
        return view[:-1, :outputs].T, view[-1, :outputs]

    def weight_magnitudes(self) -> list[float]:
        """Mean absolute weight of every layer."""
        return [float(np.abs(self.layer(index)[0]).mean()) for index in range(len(self.sizes) - 1)]

    def ages(self, layer: int) -> np.ndarray:
        """Steps since a unit of a hidden layer was new, (units,)."""
        start = unit_layout(self.sizes)[layer]
        return self.units[3, start : start + self.sizes[layer + 1]]

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(getattr(self, name)) for name in self._state}

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        for name in self._state:
            getattr(self, name)[...] = state[name].numpy()

    _state = ("weights", "moments", "squares", "decayed", "clock", "units", "owed", "rng", "log")
