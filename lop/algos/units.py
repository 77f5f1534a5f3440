"""Where the units of a hidden layer lie in the tensors around it: all that generate-and-test knows of layer types.

A hidden layer is two neighbouring modules. Unit i is row i of the incoming weights (filter i of a convolution) and
one column, or group of columns, of the outgoing ones. Three views make every layer type look the same to the
algorithms; `inputs` are the outgoing layer's inputs that one unit feeds: 1, or height x width of the feature map where
a convolution is flattened into a linear layer.

| outgoing            | activations h                     | samples                  | outgoing weights       |
|---------------------|-----------------------------------|--------------------------|------------------------|
| Linear              | (batch, units)                    | batch                    | (outputs, units, 1)    |
| Linear, flattened   | (batch, units * height * width)   | batch                    | (outputs, units, h * w)|
| Conv2d              | (batch, units, height, width)     | batch * height * width   | (outputs * taps, units, 1) |
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class HiddenLayer:
    """The hidden layer between two neighbouring linear or convolutional modules."""

    incoming: nn.Linear | nn.Conv2d
    outgoing: nn.Linear | nn.Conv2d

    @property
    def units(self) -> int:
        return self.incoming.weight.shape[0]

    def incoming_weights(self) -> Tensor:
        """View (units, fan_in)."""
        return self.incoming.weight.detach().flatten(1)

    def outgoing_weights(self) -> Tensor:
        """(outputs, units, inputs); for a convolution (outputs * taps, units, 1)."""
        weights = self.outgoing.weight.detach()
        if isinstance(self.outgoing, nn.Conv2d):
            return weights.flatten(2).transpose(1, 2).reshape(-1, self.units, 1)
        return weights.view(len(weights), self.units, -1)

    def fold(self, h: Tensor) -> Tensor:
        """Activations as (samples, units, inputs)."""
        if isinstance(self.outgoing, nn.Conv2d):
            return h.movedim(1, -1).reshape(-1, self.units, 1)
        return h.reshape(len(h), self.units, -1)

    def by_unit(self, tensor: Tensor) -> Tensor:
        """View, with units as the second axis, of a tensor shaped like the outgoing weights."""
        return tensor if isinstance(self.outgoing, nn.Conv2d) else tensor.view(len(tensor), self.units, -1)

    @torch.no_grad()
    def renew(self, units: Tensor, draw: Callable[[int], Tensor]) -> None:
        """Give `units` (indices) fresh incoming weights `draw(n)` (n, fan_in), no bias and no outgoing weights."""
        weight = self.incoming.weight
        weight[units] = draw(len(units)).to(weight.device).view(-1, *weight.shape[1:])
        if self.incoming.bias is not None:
            self.incoming.bias[units] = 0
        self.by_unit(self.outgoing.weight.detach())[:, units] = 0

    def clear_optimizer_state(self, optimizer: Any, units: Tensor) -> None:
        """Zero the optimizer's per-element state (momentum, moments) of the weights and biases of `units`."""
        for parameter in (self.incoming.weight, self.incoming.bias):
            for tensor in self._state_of(optimizer, parameter):
                tensor[units] = 0
        for tensor in self._state_of(optimizer, self.outgoing.weight):
            self.by_unit(tensor)[:, units] = 0

    @staticmethod
    def _state_of(optimizer: Any, parameter: Tensor | None) -> list[Tensor]:
        """Found by the parameter itself, never by its position; scalars such as a step count are left alone."""
        if parameter is None:
            return []
        state = optimizer.state.get(parameter, {})
        return [value for value in state.values() if torch.is_tensor(value) and value.shape == parameter.shape]


def hidden_layers(net: nn.Sequential) -> list[HiddenLayer]:
    """Every hidden layer of a plain network, first to last."""
    layers = [module for module in net if isinstance(module, nn.Linear | nn.Conv2d)]
    return [HiddenLayer(incoming, outgoing) for incoming, outgoing in pairwise(layers)]
