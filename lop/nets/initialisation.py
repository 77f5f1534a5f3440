"""Initialisation of networks."""

from collections.abc import Iterable
from itertools import chain

import torch
from torch import nn

from lop.nets.numerics import gain, initial_gain, uniform_bound


@torch.no_grad()
def initialise(
    net: Iterable[nn.Module], init: str, activation: str, orthogonal_output: float = 1.0, std_dev: float | None = None
) -> None:
    """Draw the weights of a network's linear layers in order, and set the biases to 0.

    `default` keeps the weights and biases that PyTorch drew when it created the layers, except for the bias of the
    output layer. `orthogonal` draws orthogonal matrices (Saxe et al. 2013). `gaussian` draws weights and biases from a
    normal distribution.

    Args:
        net: modules in order.
        init: distribution of the weights: `default`, `kaiming`, `lecun`, `xavier`, `orthogonal` or `gaussian`.
        activation: name of the activation, which determines the gain of hidden layers. The gain of the output layer is
            1.
        orthogonal_output: gain of an orthogonal output layer.
        std_dev: standard deviation of `gaussian`, which requires it.

    Raises:
        ValueError: If `init` is unknown.
    """
    layers = [module for module in net if isinstance(module, nn.Linear)]
    if init == "gaussian" and std_dev is not None:
        for parameter in chain.from_iterable(layer.parameters() for layer in layers):
            parameter.normal_(std=std_dev)
        return
    if init == "orthogonal":
        for layer in layers:
            nn.init.orthogonal_(layer.weight, gain(activation) if layer is not layers[-1] else orthogonal_output)
            _zero_bias(layer)
        return
    if init == "default":
        _zero_bias(layers[-1])
        return
    for layer in layers:
        initialise_layer(layer, init, activation if layer is not layers[-1] else "linear")


@torch.no_grad()
def initialise_layer(layer: nn.Linear, init: str, activation: str) -> None:
    """Draw the weights of one layer, and set its bias to 0.

    Args:
        layer: linear layer.
        init: distribution of the weights; see `initialise`.
        activation: name of the activation that follows the layer.
    """
    bound = uniform_bound(layer.in_features, layer.out_features, init, initial_gain(init, activation))
    layer.weight.uniform_(-bound, bound)
    _zero_bias(layer)


def _zero_bias(layer: nn.Linear) -> None:
    if layer.bias is not None:
        layer.bias.zero_()
