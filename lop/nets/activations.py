"""The paper's seven activations, by name."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

aten = torch.ops.aten
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


class Activation(NamedTuple):
    module: type[nn.Module]
    apply_: Callable[[Tensor], Tensor]  # in place
    # Gradient and *output* of the activation -> gradient, in place; None where the output does not determine it.
    backward_: Callable[[Tensor, Tensor], Tensor] | None


ACTIVATIONS = {
    "relu": Activation(nn.ReLU, torch.relu_, lambda g, h: aten.threshold_backward.grad_input(g, h, 0, grad_input=g)),
    "leaky_relu": Activation(
        nn.LeakyReLU,
        nn.functional.leaky_relu_,
        lambda g, h: aten.leaky_relu_backward.grad_input(g, h, 0.01, True, grad_input=g),
    ),
    "tanh": Activation(nn.Tanh, torch.tanh_, lambda g, h: aten.tanh_backward.grad_input(g, h, grad_input=g)),
    "sigmoid": Activation(
        nn.Sigmoid, torch.sigmoid_, lambda g, h: aten.sigmoid_backward.grad_input(g, h, grad_input=g)
    ),
    "elu": Activation(
        nn.ELU,
        nn.functional.elu_,
        lambda g, h: aten.elu_backward.grad_input(g, 1.0, 1.0, 1.0, True, h, grad_input=g),
    ),
    "selu": Activation(
        nn.SELU,
        torch.selu_,
        lambda g, h: aten.elu_backward.grad_input(g, SELU_ALPHA, SELU_SCALE, 1.0, True, h, grad_input=g),
    ),
    "swish": Activation(nn.SiLU, lambda h: nn.functional.silu(h, inplace=True), None),
}


ACTIVATION_MODULES = tuple(activation.module for activation in ACTIVATIONS.values())


def activation_named(name: str) -> Activation:
    """The activation of that name in any case; ValueError names the known ones."""
    if name.lower() not in ACTIVATIONS:
        raise ValueError(f"Invalid activation: {name!r} (allowed: {', '.join(ACTIVATIONS)})")
    return ACTIVATIONS[name.lower()]
