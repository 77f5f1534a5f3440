"""Adapter for networks of your own, which lack the methods of the networks in `lop.nets`."""

from typing import Any

import torch
from torch import Tensor, nn

from lop.common.errors import InputError
from lop.common.plugins import Plugin
from lop.plasticity import record_activations


class AnyNetwork(nn.Module):
    """A module with the interface of the networks in `lop.nets`.

    Hidden activations are those that `lop.plasticity.record_activations` finds, unless the module has a method
    `predict` that returns outputs and hidden activations.

    Args:
        net: module that maps inputs (batch, ...) to outputs (batch, outputs).
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net: Any = net

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs (batch, outputs) and the hidden activations (batch, ...), one tensor per layer."""
        if hasattr(self.net, "predict"):
            return self.net.predict(x)
        with record_activations(self.net, units_last=False) as found:
            output = self.net(x)
        return output, [h for _, h in found]

    def forward(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return the outputs (batch, outputs), and append the hidden activations to `features` unless it is None."""
        if features is None:
            return self.net(x)
        output, hidden = self.predict(x)
        features += hidden
        return output


def create(plugin: Plugin, inputs: int | tuple[int, ...], outputs: int) -> AnyNetwork:
    """Create the network of a plugin.

    Args:
        plugin: plugin whose class receives inputs and outputs.
        inputs: number of inputs, or shape of an image (channels, height, width).
        outputs: number of outputs.

    Raises:
        InputError: If the network cannot be created, has no hidden layer, or does not map inputs (batch, ...) to
            outputs (batch, outputs).
    """
    net = AnyNetwork(plugin.create(nn.Module, inputs, outputs)).eval()
    shape = (inputs,) if isinstance(inputs, int) else inputs
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        found, hidden = net.predict(torch.zeros(2, *shape))
    if tuple(getattr(found, "shape", ())) != (2, outputs):
        got = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise InputError(f"network: {plugin.name}: found outputs {got} for a batch of 2, allowed: (2, {outputs})")
    if not hidden:
        raise InputError(f"network: {plugin.name}: found no hidden layer, allowed: one or more")
    return net.train()


def last_linear(net: nn.Module) -> nn.Linear:
    """Return the output layer of a network: its last `nn.Linear` in the order of definition.

    Raises:
        InputError: If the network has none.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    if not layers:
        found = type(net.net if isinstance(net, AnyNetwork) else net).__name__
        raise InputError(
            f"network: found {found} without an nn.Linear, allowed: a network whose output layer is an nn.Linear"
        )
    return layers[-1]
