"""A deep fully connected network: the learner of online permuted MNIST."""

from itertools import pairwise

from torch import Tensor, nn

from lop.nets.activations import activation_named
from lop.nets.initialisation import initialise_layer
from lop.nets.mlp import forward_logged
from lop.nets.online_norm import OnlineNorm


class DeepFFNN(nn.Module):
    """`num_hidden_layers` hidden layers of `num_features` units each, and `num_outputs` linear outputs.

    Weights are Kaiming-uniform and biases zero, every layer built and initialised before the next, as published: with
    the same torch seed the weights are the published ones.

    Args:
        act_type: relu, leaky_relu, tanh, sigmoid, elu, selu or swish.
        dropout: probability of zeroing a hidden activation in training (Srivastava et al. 2014).
        online_norm: normalise every hidden layer before its activation by online normalisation with these decay rates
            (forward, backward); None for none.
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
            raise ValueError(f"Invalid num_hidden_layers: {num_hidden_layers} (allowed: 1 and more)")
        if not 0 <= dropout < 1:
            raise ValueError(f"Invalid dropout: {dropout} (allowed: 0 up to, not including, 1)")
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
        """Outputs (batch, num_outputs) for inputs (batch, input_size), and hidden activations, (batch, units) a layer,
        before dropout."""
        return forward_logged(self.layers, x)

    def forward(self, x: Tensor) -> Tensor:
        return self.predict(x)[0]


def kaiming_linear(fan_in: int, fan_out: int, activation: str) -> nn.Linear:
    layer = nn.Linear(fan_in, fan_out)
    initialise_layer(layer, "kaiming", activation)
    return layer
