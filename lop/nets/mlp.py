"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from lop.nets.activations import ACTIVATION_MODULES, activation_named


def mlp(n_inputs: int, hidden: Sequence[int], n_outputs: int, activation: str) -> nn.Sequential:
    """Create a sequential network of alternating linear layers and activations; `net[2 * i]` is the i-th linear layer.

    Args:
        n_inputs: Number of inputs.
        hidden: Number of units of each hidden layer.
        n_outputs: Number of outputs.
        activation: Name of the activation.

    Raises:
        ValueError: If the activation is unknown.
    """
    sizes = [n_inputs, *hidden]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), activation_named(activation)()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs))


def forward_logged(net: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs of a sequential network and its hidden activations, one tensor per layer."""
    hidden = []
    for module in net:
        x = module(x)
        if isinstance(module, ACTIVATION_MODULES):
            hidden.append(x)
    return x, hidden
