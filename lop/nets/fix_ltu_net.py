"""The target network of slowly-changing regression: linear threshold units with weights of +1 and -1."""

import torch
from torch import Tensor, nn


class FixLTUNet(nn.Module):
    """h_i = 1 where w_i x + b_i > tau_i, else 0; the output is a +-1 sum of them with bias.

    tau_i = beta (m + 1) - S_i with m inputs and S_i the number of -1 among a unit's weights, so that a unit is active
    when at least a fraction beta of its inputs agree with it (Sutton and Whitehead 1993).

    Args:
        num_inputs: m, inputs of 0 or 1. num_features: hidden units. beta: fraction of agreeing inputs.
        corrected_threshold: S_i counts a bias of -1, too. In the published network the bias enters with the opposite
            sign, S_i = (m - sum(w_i) + b_i) / 2, which is off by +0.5 or -1.5.

    Weights come from torch's generator in the published order.
    """

    tau: Tensor  # thresholds, (num_features,)

    def __init__(
        self, num_inputs: int = 20, num_features: int = 80, beta: float = 0.75, corrected_threshold: bool = False
    ):
        super().__init__()
        self.num_inputs, self.num_features, self.num_outputs, self.beta = num_inputs, num_features, 1, beta
        hidden = nn.Linear(num_inputs, num_features)
        self.layers = nn.Sequential(hidden, nn.Linear(num_features, 1))
        for parameter in self.layers.parameters():
            parameter.requires_grad_(False).copy_(torch.randint(0, 2, parameter.shape) * 2 - 1)
        weight, bias = hidden.weight, hidden.bias
        if corrected_threshold:
            negatives = (num_inputs + 1 - weight.sum(1) - bias) / 2
        else:
            negatives = (num_inputs - weight.sum(1) + bias) / 2
        self.register_buffer("tau", beta * (num_inputs + 1) - negatives)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (batch, 1) and the units' states (batch, num_features) for inputs (batch, num_inputs)."""
        features = (self.layers[0](x) > self.tau).to(x.dtype)
        return self.layers[1](features), features

    def forward(self, x: Tensor) -> Tensor:
        return self.predict(x)[0]
