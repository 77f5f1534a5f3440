"""Target network of slowly-changing regression: linear threshold units with weights of +1 and -1."""

import torch
from torch import Tensor, nn


class FixLTUNet(nn.Module):
    """Network of hidden units h_i = 1 if w_i x + b_i > tau_i, else 0, and one linear output.

    All weights and biases are +1 or -1, drawn from PyTorch's generator in the same order as in the published code. The
    thresholds are tau_i = beta (m + 1) - S_i, with m inputs and S_i the number of -1 among the weights of a unit. Thus
    a unit is active if at least a fraction beta of its inputs agree with it (Sutton and Whitehead 1993).

    Args:
        num_inputs: number of inputs m, each 0 or 1.
        num_features: number of hidden units.
        beta: fraction of agreeing inputs.
        corrected_threshold: include the bias in S_i. In the published network, the bias enters with the opposite sign,
            S_i = (m - sum(w_i) + b_i) / 2, which is off by +0.5 or -1.5.
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
        """Compute outputs and hidden activations.

        Args:
            x: inputs (batch, num_inputs).

        Returns:
            Outputs (batch, 1) and hidden activations (batch, num_features).
        """
        features = (self.layers[0](x) > self.tau).to(x.dtype)
        return self.layers[1](features), features

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, 1)."""
        return self.predict(x)[0]
