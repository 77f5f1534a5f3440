"""Plasticity of the hidden layers of any PyTorch network, with the measures of `lop.measures`.

Example::

    for layer in measure(net, x):
        print(layer.name, layer.dormant, layer.effective_rank)
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules import activation

from lop.algos.units import CONVOLUTIONS, WEIGHT_LAYERS
from lop.measures import dead_fraction, dormant_fraction, ranks

ACTIVATIONS = tuple(getattr(activation, name) for name in activation.__all__ if name != "MultiheadAttention")


class LayerPlasticity(NamedTuple):
    """Measures of one hidden layer."""

    name: str
    units: int
    dead: float  #: fraction of units whose activation is 0 in all samples
    dormant: float  #: fraction of units that are active in at most 1% of the samples
    rank: float
    effective_rank: float
    approximate_rank: float
    stable_rank: float


@contextmanager
def record_activations(
    net: nn.Module, modules: Sequence[str] | None = None, units_last: bool = True
) -> Iterator[list[tuple[str, Tensor]]]:
    """Record the activations of all hidden layers in the forward passes within a `with` block.

    Hidden activations are the outputs of the network's activation modules (`nn.ReLU` and others). In a network without
    such modules, they are the inputs of all linear and convolutional layers except the first one called.

    Args:
        net: network.
        modules: names of the modules whose outputs to record instead.
        units_last: move the channels of feature maps to the last axis.

    Yields:
        List of (name, activations (..., units)), to which the forward passes append.

    Raises:
        ValueError: If the network has no module of a given name.
    """
    by_name = dict(net.named_modules())
    unknown = [name for name in modules or () if name not in by_name]
    if unknown:
        raise ValueError(f"modules must be among {', '.join(filter(None, by_name))}, got {', '.join(unknown)}")
    names = modules or [name for name, module in by_name.items() if isinstance(module, ACTIVATIONS)]
    found: list[tuple[str, Tensor]] = []
    weight_layers = [name for name, module in by_name.items() if isinstance(module, WEIGHT_LAYERS)]
    called: list[nn.Module] = []  # the first and the latest layer with weights that was called

    def keep(name: str, h: Tensor, layer: nn.Module | None) -> None:
        units_second = units_last and isinstance(layer, CONVOLUTIONS) and h.ndim > 2
        found.append((name, (h.movedim(1, -1) if units_second else h).detach().clone()))

    def listen(module: nn.Module, inputs: tuple[Tensor, ...], name: str) -> None:
        called[1:] = [module]
        if not names and module is not called[0]:
            keep(name, inputs[0], module)

    hooks = [
        by_name[name].register_forward_hook(lambda m, i, h, name=name: keep(name, h, called[-1] if called else None))
        for name in names
    ]
    hooks += [by_name[name].register_forward_pre_hook(partial(listen, name=name)) for name in weight_layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def measure(net: nn.Module, x: Tensor, modules: Sequence[str] | None = None) -> list[LayerPlasticity]:
    """Measure all hidden layers of a network in evaluation mode.

    Each position of a feature map, and each time step of a sequence, counts as a sample.

    Args:
        net: network.
        x: inputs (samples, ...).
        modules: see `record_activations`.

    Returns:
        Measures, one entry per hidden layer.
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with record_activations(net, modules) as found:
            net(x)
    finally:
        for module, training in modes.items():
            module.training = training
    return [_measure(name, h.reshape(-1, h.shape[-1])) for name, h in found]


def _measure(name: str, h: Tensor) -> LayerPlasticity:
    return LayerPlasticity(name, h.shape[1], dead_fraction(h), dormant_fraction(h), *ranks(h))
