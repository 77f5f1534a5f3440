"""Initialisation of networks."""

from collections.abc import Iterable

import torch
from torch import nn

from lop.nets.numerics import gain, initial_gain, uniform_bound


@torch.no_grad()
def initialise(net: Iterable[nn.Module], init: str, activation: str, orthogonal_output: float = 1.0) -> None:
    """Draw the weights of a network's linear layers in order, and set the biases to 0.

    `default` keeps the weights and biases that PyTorch drew when it created the layers, except for the bias of the
    output layer. `orthogonal` draws orthogonal matrices (Saxe et al. 2013).

    Args:
        net: Modules in order.
        init: Distribution of the weights: `default`, `kaiming`, `lecun`, `xavier` or `orthogonal`.
        activation: Name of the activation, which determines the gain of hidden layers. The gain of the output layer is
            1.
        orthogonal_output: Gain of an orthogonal output layer.

    Raises:
        ValueError: If `init` is unknown.
    """
    layers = [module for module in net if isinstance(module, nn.Linear)]
    if init == "orthogonal":
        for layer in layers:
            nn.init.orthogonal_(layer.weight, gain(activation) if layer is not layers[-1] else orthogonal_output)
            layer.bias.zero_()
        return
    if init == "default":
        layers[-1].bias.zero_()
        return
    for layer in layers:
        initialise_layer(layer, init, activation if layer is not layers[-1] else "linear")


@torch.no_grad()
def initialise_layer(layer: nn.Linear, init: str, activation: str) -> None:
    """Draw the weights of one layer, and set its bias to 0.

    Args:
        layer: Linear layer.
        init: Distribution of the weights; see `initialise`.
        activation: Name of the activation that follows the layer.
    """
    bound = uniform_bound(layer.in_features, layer.out_features, init, initial_gain(init, activation))
    layer.weight.uniform_(-bound, bound)
    layer.bias.zero_()
