"""Multilayer perceptrons, and their forward and backward pass by hand.

At the sizes of the paper's policies (256 units, minibatches of 128) autograd costs twice what the matrix products
cost. `Backpropagation` does the same products on preallocated tensors, on the CPU or a GPU, and leaves the gradients
in `parameter.grad`, where any torch optimizer finds them.
"""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain, pairwise

import torch
from torch import Tensor, nn

from lop.nets.activations import ACTIVATION_MODULES, activation_named


def mlp(n_inputs: int, hidden: Sequence[int], n_outputs: int, activation: str) -> nn.Sequential:
    """Linear, activation, ..., Linear: `net[2 * i]` is the i-th linear layer. Draws from torch's generator in order."""
    sizes = [n_inputs, *hidden]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(sizes):
        layers += [nn.Linear(fan_in, fan_out), activation_named(activation).module()]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], n_outputs))


def forward_logged(net: nn.Sequential, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Outputs of a plain network, and its hidden activations, one tensor (batch, units) a hidden layer."""
    hidden = []
    for module in net:
        x = module(x)
        if isinstance(module, ACTIVATION_MODULES):
            hidden.append(x)
    return x, hidden


class Backpropagation:
    """Forward and backward passes of a network made by `mlp`, without autograd.

    `hidden` holds the activations of the last forward pass, one tensor (batch, units) a hidden layer; they are
    overwritten by the next one. Inputs may have fewer columns than the first layer has inputs: the missing ones count
    as zero, and no arithmetic is spent on them (Ant's last 84 of 111 observations are always zero).
    """

    def __init__(self, net: nn.Sequential, activation: str):
        layers = [module for module in net if isinstance(module, nn.Linear)]
        _, self.activate_, backward_ = activation_named(activation)
        if backward_ is None:
            raise ValueError(f"Invalid activation: {activation!r} (its output does not determine its derivative)")
        self.activation_backward_ = backward_
        if any(layer.bias is None for layer in layers):
            raise ValueError("Invalid net: every linear layer needs a bias")
        self.net, self.activation = net, activation
        self.weights = [layer.weight.detach() for layer in layers]  # share memory with the parameters
        self.biases = [layer.bias.detach() for layer in layers]
        self.weight_gradients = [torch.zeros_like(weight) for weight in self.weights]
        self.bias_gradients = [torch.zeros_like(bias) for bias in self.biases]
        parameters = chain.from_iterable((layer.weight, layer.bias) for layer in layers)
        gradients = chain.from_iterable(zip(self.weight_gradients, self.bias_gradients, strict=True))
        self._gradients = list(zip(parameters, gradients, strict=True))
        self.hidden: list[Tensor] = []
        self._shape = (-1, -1)

    def __deepcopy__(self, memo: dict) -> "Backpropagation":
        """Copied tensors would no longer share memory with the copied network's parameters."""
        return Backpropagation(deepcopy(self.net, memo), self.activation)

    def _allocate(self, batch: int, columns: int) -> None:
        """Tensors and views for minibatches of this shape."""
        self._shape = (batch, columns)
        outputs = [weight.new_empty(batch, len(weight)) for weight in self.weights]
        self.hidden = outputs[:-1]
        deltas = [torch.empty_like(hidden) for hidden in self.hidden]
        live = [self.weights[0][:, :columns], *self.weights[1:]]
        self._forward = list(zip(self.biases, [weight.t() for weight in live], outputs, strict=True))
        self._backward = list(zip(self.hidden, deltas, self.weights[1:], self.weight_gradients[1:], strict=True))
        self._input_gradient = self.weight_gradients[0][:, :columns]
        self.weight_gradients[0].zero_()  # those of missing columns stay so

    def forward(self, x: Tensor) -> Tensor:
        """Outputs (batch, n_outputs) for inputs (batch, columns), valid until the next call."""
        if x.shape != self._shape:
            self._allocate(*x.shape)
        self._inputs = h = x
        *hidden, (output_bias, output_weight, output) = self._forward
        for bias, weight, out in hidden:
            h = self.activate_(torch.addmm(bias, h, weight, out=out))
        return torch.addmm(output_bias, h, output_weight, out=output)

    def backward(self, gradient: Tensor) -> None:
        """Set every parameter's `grad` from the loss's gradient (batch, n_outputs) in the last outputs."""
        for (below, delta, weight, weight_gradient), bias_gradient in zip(
            reversed(self._backward), reversed(self.bias_gradients), strict=False
        ):
            torch.sum(gradient, 0, out=bias_gradient)
            torch.mm(gradient.t(), below, out=weight_gradient)
            gradient = self.activation_backward_(torch.mm(gradient, weight, out=delta), below)
        torch.sum(gradient, 0, out=self.bias_gradients[0])
        torch.mm(gradient.t(), self._inputs, out=self._input_gradient)
        for parameter, own_gradient in self._gradients:
            if parameter.grad is not own_gradient:  # `zero_grad` takes it away
                parameter.grad = own_gradient
