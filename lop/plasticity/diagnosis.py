"""Plasticity of a trained network: the state of its hidden layers, and how well it still learns.

    diagnosis = diagnose(aged, make, batches, Training(steps=500))

Trainability compares copies of the aged network with fresh ones, trained on the same batches with the same settings.
`python -m lop.plasticity` prints and draws the result for a checkpoint.
"""

import copy
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lop.algos.units import WEIGHT_LAYERS
from lop.measures import weight_magnitude
from lop.plasticity import LayerPlasticity, measure, record_activations

SAMPLES = 1_000  # inputs from which hidden layers are measured
OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
Batch = tuple[Tensor, Tensor]  # inputs (samples, ...) and targets (samples, ...)
Loss = Callable[[Tensor, Tensor], Tensor]


def usual_loss(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of integer targets (samples, ...), or the mean squared error of floating-point ones.

    Args:
        outputs: logits (samples, classes, ...), or predictions of the shape of the targets.
        targets: indices of classes, or values.

    Raises:
        ValueError: predictions and targets differ in shape, which would broadcast them.
    """
    if not targets.is_floating_point():
        return F.cross_entropy(outputs, targets.long())
    if outputs.shape != targets.shape:
        raise ValueError(f"outputs must have the shape of the targets, {(*targets.shape,)}, got {(*outputs.shape,)}")
    return F.mse_loss(outputs, targets)


@dataclass(frozen=True)
class Training:
    """Settings with which aged and fresh networks are trained."""

    steps: int = 500
    optimizer: Literal["sgd", "adam"] = "sgd"
    step_size: float = 0.01
    seeds: int = 3  # number of fresh networks, and of copies of the aged one
    loss: Loss = usual_loss


class HiddenLayer(NamedTuple):
    """Measures of one hidden layer."""

    activations: LayerPlasticity
    weight_magnitude: float  # mean absolute weight of the layer that computes the activations; NaN if there is none


class Curve(NamedTuple):
    """Loss and accuracy on the batch of each step, before the network learns from it."""

    loss: list[float]
    accuracy: list[float]  # empty if the targets are not classes

    @property
    def final_loss(self) -> float:
        """Mean loss over the last tenth of the steps."""
        return _mean_of_last_tenth(self.loss)

    @property
    def final_accuracy(self) -> float:
        """Mean accuracy over the last tenth of the steps; NaN if the targets are not classes."""
        return _mean_of_last_tenth(self.accuracy)


class Diagnosis(NamedTuple):
    """Measures of an aged network, and the learning curves of its copies and of fresh networks, one per seed."""

    samples: int  # from which the layers were measured
    layers: list[HiddenLayer]
    weight_magnitude: float  # mean absolute value of all parameters with at least two dimensions; NaN if there is none
    training: Training
    aged: list[Curve]
    fresh: list[Curve]

    def as_json(self) -> dict[str, Any]:
        """Return all numbers as plain JSON values; those that are not finite become None."""
        loss = self.training.loss
        settings = asdict(self.training) | {"loss": getattr(loss, "__name__", type(loss).__name__)}
        layers = [layer.activations._asdict() | {"weight_magnitude": layer.weight_magnitude} for layer in self.layers]
        curves = {
            name: [
                {"loss": one.loss, "accuracy": one.accuracy}
                | {"final_loss": one.final_loss, "final_accuracy": one.final_accuracy}
                for one in found
            ]
            for name, found in {"aged": self.aged, "fresh": self.fresh}.items()
        }
        numbers = {"samples": self.samples, "layers": layers, "weight_magnitude": self.weight_magnitude}
        return _plain(numbers | {"training": settings} | curves)


def diagnose(
    aged: nn.Module,
    make: Callable[[], nn.Module],
    batches: Iterable[Batch],
    training: Training = Training(),
    samples: int = SAMPLES,
) -> Diagnosis:
    """Measure an aged network, and compare its ability to learn with that of fresh networks.

    The networks are left unchanged, and so is the state of PyTorch's generator on the CPU.

    Args:
        aged: network to diagnose.
        make: returns a fresh network.
        batches: pairs of inputs and targets, of which at most `training.steps` are read; they are repeated if there are
            fewer.
        training: settings of the training.
        samples: number of inputs from which hidden layers are measured, if the batches have as many.

    Raises:
        ValueError: there are no batches, or one of them is no pair of tensors with the same positive number of samples.
    """
    found = read_batches(batches, training.steps)
    x = first_samples([x for x, _ in found], samples)
    layers = hidden_layers(aged, x)
    weights = [parameter for parameter in aged.parameters() if parameter.ndim > 1]
    magnitude = weight_magnitude(weights) if weights else math.nan
    curves: dict[str, list[Curve]] = {"aged": [], "fresh": []}
    for seed in range(training.seeds):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, net in {"fresh": make(), "aged": copy.deepcopy(aged)}.items():
                torch.manual_seed(seed)  # so that both networks draw the same numbers, as for dropout
                curves[name].append(train(net, found, training))
    return Diagnosis(len(x), layers, magnitude, training, **curves)


def hidden_layers(net: nn.Module, x: Tensor) -> list[HiddenLayer]:
    """Measure all hidden layers of a network, with the weights that compute them.

    Args:
        net: network.
        x: inputs (samples, ...).
    """
    probe, called = copy.deepcopy(net).eval(), list[tuple[int, Tensor]]()
    with torch.no_grad(), record_activations(probe) as found:
        for module in probe.modules():
            if isinstance(module, WEIGHT_LAYERS):
                module.register_forward_hook(lambda layer, *_: called.append((len(found), layer.weight)))
        probe(x[:1])
    layers = []
    for place, activations in enumerate(measure(net, x)):
        weights = [weight for recorded, weight in called if recorded <= place]  # of layers called before
        layers.append(HiddenLayer(activations, weight_magnitude(weights[-1]) if weights else math.nan))
    return layers


def read_batches(batches: Iterable[Batch], most: int) -> list[Batch]:
    """Return at most `most` batches.

    Raises:
        ValueError: there are none, or one of them is no pair of tensors with the same positive number of samples.
    """
    found = []
    for number, batch in enumerate(itertools.islice(batches, most), 1):
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        if not (pair and all(isinstance(part, Tensor) and part.ndim for part in batch)):
            raise ValueError(f"batch {number} must be a pair of tensors (samples, ...), got {_described(batch)}")
        x, y = batch
        if not len(x) == len(y) > 0:
            raise ValueError(f"batch {number} must have as many inputs as targets, got {len(x)} and {len(y)}")
        found.append((x, y))
    if not found:
        raise ValueError("there must be at least one batch, got none")
    return found


def first_samples(inputs: Sequence[Tensor], samples: int) -> Tensor:
    """Join the first inputs (samples, ...) of the same shape until there are `samples`, or no more."""
    same = list(itertools.takewhile(lambda x: x.shape[1:] == inputs[0].shape[1:], inputs))
    sizes = itertools.accumulate(map(len, same), initial=0)
    return torch.cat([x for x, before in zip(same, sizes, strict=False) if before < samples])[:samples]


def train(net: nn.Module, batches: Sequence[Batch], training: Training) -> Curve:
    """Train a network in place, in training mode.

    Args:
        net: network.
        batches: batches, which are repeated as often as necessary.
        training: settings of the training.
    """
    net.train()
    optimizer = OPTIMIZERS[training.optimizer](net.parameters(), lr=training.step_size)
    losses, accuracies = [], []
    for x, y in itertools.islice(itertools.cycle(batches), training.steps):
        outputs = net(x)
        loss = training.loss(outputs, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if not y.is_floating_point() and outputs.ndim == y.ndim + 1:
            accuracies.append((outputs.argmax(1) == y).float().mean().item())
    return Curve(losses, accuracies)


def _mean_of_last_tenth(values: Sequence[float]) -> float:
    last = values[-math.ceil(len(values) / 10) :]
    return sum(last) / len(last) if last else math.nan


def _described(batch: Any) -> str:
    if not isinstance(batch, tuple | list):
        return type(batch).__name__
    return f"{type(batch).__name__} of {', '.join(type(part).__name__ for part in batch[:5]) or 'nothing'}"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
