"""Plasticity of the hidden layers of any network in torch, by the measures of `lop.measures`.

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
    """What `measure` tells of one hidden layer."""

    name: str
    units: int
    dead: float  # fraction of units that are 0 for all samples
    dormant: float  # fraction of units that are active in at most 1% of the samples
    rank: float
    effective_rank: float
    approximate_rank: float
    stable_rank: float


@contextmanager
def record_activations(net: nn.Module, modules: Sequence[str] | None = None) -> Iterator[list[tuple[str, Tensor]]]:
    """Collects (name, activations (..., units)) of every hidden layer in the forward passes of a `with` block.

    Hidden layers are the outputs of the modules named in `modules`; if None, those of the network's activation modules
    (`nn.ReLU`, ...); in a network without any, the inputs of its linear and convolutional layers, but for the first
    that is called.
    """
    by_name = dict(net.named_modules())
    unknown = [name for name in modules or () if name not in by_name]
    if unknown:
        raise ValueError(f"Invalid modules: {', '.join(unknown)} (allowed: {', '.join(filter(None, by_name))})")
    names = modules or [name for name, module in by_name.items() if isinstance(module, ACTIVATIONS)]
    found: list[tuple[str, Tensor]] = []
    weight_layers = [name for name, module in by_name.items() if isinstance(module, WEIGHT_LAYERS)]
    last: list[nn.Module] = []  # layers with weights in the order of their calls

    def keep(name: str, h: Tensor, layer: nn.Module | None) -> None:
        units_second = isinstance(layer, CONVOLUTIONS) and h.ndim > 2
        found.append((name, (h.movedim(1, -1) if units_second else h).detach().clone()))

    def listen(module: nn.Module, inputs: tuple[Tensor, ...], name: str) -> None:
        last.append(module)
        if not names and module is not last[0]:
            keep(name, inputs[0], module)

    hooks = [
        by_name[name].register_forward_hook(lambda m, i, h, name=name: keep(name, h, last[-1] if last else None))
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
    """Measures of every hidden layer of `net` on inputs x (samples, ...), in evaluation mode.

    Every position of a feature map, and every time step of a sequence, counts as a sample.

    Args:
        modules: see `record_activations`.
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
