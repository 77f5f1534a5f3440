"""Deep fully connected network, the learner of online permuted MNIST."""

from itertools import pairwise

from torch import Tensor, nn

from lop.nets.activations import activation_named
from lop.nets.initialisation import initialise_layer
from lop.nets.mlp import forward_logged
from lop.nets.online_norm import OnlineNorm


class DeepFFNN(nn.Module):
    """Network of `num_hidden_layers` hidden layers with `num_features` units each, and `num_outputs` linear outputs.

    Weights are Kaiming-uniform and biases zero. As in the published code, each layer is created and initialised before
    the next, so that the same PyTorch seed gives the published weights.

    Args:
        input_size: number of inputs.
        num_features: number of units per hidden layer.
        num_outputs: number of outputs.
        num_hidden_layers: number of hidden layers.
        act_type: activation: relu, leaky_relu, tanh, sigmoid, elu, selu or swish.
        dropout: probability of zeroing a hidden activation in training mode (Srivastava et al. 2014).
        online_norm: decay rates (forward, backward) of online normalisation before each activation; None disables it.

    Raises:
        ValueError: If `num_hidden_layers` or `dropout` is out of range, or the activation is unknown.
    """

    def __init__(
        self,
        input_size: int,
        num_features: int = 2000,
        num_outputs: int = 1,
        num_hidden_layers: int = 2,
        act_type: str = "relu",
        dropout: float = 0.0,
        online_norm: tuple[float, float] | None = None,
    ):
        super().__init__()
        if num_hidden_layers < 1:
            raise ValueError(f"num_hidden_layers must be at least 1, got {num_hidden_layers!r}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout!r}")
        self.num_inputs, self.num_features, self.num_outputs = input_size, num_features, num_outputs
        self.num_hidden_layers, self.act_type = num_hidden_layers, act_type
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise([input_size] + [num_features] * num_hidden_layers):
            layers.append(kaiming_linear(fan_in, fan_out, act_type))
            if online_norm is not None:
                layers.append(OnlineNorm(fan_out, *online_norm))
            layers.append(activation_named(act_type)())
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, kaiming_linear(num_features, num_outputs, "linear"))

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute outputs and hidden activations.

        Args:
            x: inputs (batch, input_size).

        Returns:
            Outputs (batch, num_outputs), and hidden activations (batch, units) before dropout, one tensor per layer.
        """
        return forward_logged(self.layers, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, num_outputs)."""
        return self.predict(x)[0]


def kaiming_linear(fan_in: int, fan_out: int, activation: str) -> nn.Linear:
    """Create a linear layer with Kaiming-uniform weights for an activation and zero biases."""
    layer = nn.Linear(fan_in, fan_out)
    initialise_layer(layer, "kaiming", activation)
    return layer
