"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from lop.nets.activations import ACTIVATION_MODULES, activation_named


def mlp(n_inputs: int, hidden: Sequence[int], n_outputs: int, activation: str, bias: bool = True) -> nn.Sequential:
    """Create a sequential network of alternating linear layers and activations; `net[2 * i]` is the i-th linear layer.

    Args:
        n_inputs: number of inputs.
        hidden: number of units of each hidden layer.
        n_outputs: number of outputs.
        activation: name of the activation.
        bias: whether linear layers have biases.

    Raises:
        ValueError: If the activation is unknown.
    """
    sizes = [n_inputs, *hidden]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out, bias), activation_named(activation)()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs, bias))


def forward_logged(net: Any, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the outputs and the hidden activations, one tensor per layer, of a sequential network or by `predict`."""
    if hasattr(net, "predict"):
        return net.predict(x)
    *body, output = net
    hidden = []
    for module in body:
        x = module(x)
        if isinstance(module, ACTIVATION_MODULES):
            hidden.append(x)
    return output(x), hidden


class Recorder(nn.Module):
    """Base class of networks that record their hidden activations, which copies and pickles do not contain."""

    def __init__(self) -> None:
        super().__init__()
        self._activations: list[Tensor] = []

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_activations": []}

    def get_activations(self) -> list[Tensor]:
        """Return the recorded hidden activations (batch, units), one tensor per layer."""
        return self._activations
