"""Initial weights: one uniform bound a layer, used when a network is built and when one of its units is replaced."""

from collections.abc import Iterable
from math import sqrt

import torch
from torch import nn

# Those of PyTorch; Swish and ELU take ReLU's, as the paper's experiments do.
GAINS = {
    "relu": sqrt(2),
    "leaky_relu": sqrt(2 / (1 + 0.01**2)),
    "tanh": 5 / 3,
    "elu": sqrt(2),
    "selu": 3 / 4,
    "swish": sqrt(2),
}
INITS = ("default", "kaiming", "lecun", "xavier", "orthogonal")


def gain(activation: str) -> float:
    """Factor by which `activation` (any case) asks for larger weights; 1 for sigmoid and linear."""
    return GAINS.get(activation.lower(), 1.0)


def uniform_bound(fan_in: int, fan_out: int, init: str, gain: float = 1.0) -> float:
    """The b of the uniform distribution on [-b, b] from which a layer's weights are drawn.

    `default` is PyTorch's own for linear layers, sqrt(1 / fan_in); `lecun` ignores the gain. `orthogonal` matrices have
    entries of variance gain^2 / max(fan_in, fan_out): new units' weights are drawn with the same.
    """
    if init == "default":
        return sqrt(1 / fan_in)
    if init == "xavier":
        return gain * sqrt(6 / (fan_in + fan_out))
    if init == "lecun":
        return sqrt(3 / fan_in)
    if init == "kaiming":
        return gain * sqrt(3 / fan_in)
    if init == "orthogonal":
        return gain * sqrt(3 / max(fan_in, fan_out))
    raise ValueError(f"Invalid init: {init!r} (allowed: {', '.join(INITS)})")


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
    """Draw the weights of one layer, for the activation that follows it; its bias becomes 0.

    With `kaiming` a leaky ReLU counts as a ReLU, as `torch.nn.init.kaiming_uniform_` has it.
    """
    if init == "kaiming" and activation.lower() == "leaky_relu":
        activation = "relu"
    bound = uniform_bound(layer.in_features, layer.out_features, init, gain(activation))
    layer.weight.uniform_(-bound, bound)
    layer.bias.zero_()
