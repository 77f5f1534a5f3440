"""Initial weights of networks."""

from collections.abc import Iterable

import torch
from torch import nn

from lop.nets.numerics import gain, initial_gain, uniform_bound


@torch.no_grad()
def initialise(net: Iterable[nn.Module], init: str, activation: str, orthogonal_output: float = 1.0) -> None:
    """Draw the weights of `net`'s linear layers in order, biases 0; the output layer's gain is 1.

    `default` keeps what PyTorch drew when the layers were built, and only clears the output layer's bias. `orthogonal`
    draws orthogonal matrices (Saxe et al. 2013), the output layer's of gain `orthogonal_output`.
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
    """Draw the weights of one layer for the activation that follows it, and set its bias to 0."""
    bound = uniform_bound(layer.in_features, layer.out_features, init, initial_gain(init, activation))
    layer.weight.uniform_(-bound, bound)
    layer.bias.zero_()
