"""A network of one hidden layer: the learner of slowly-changing regression."""

from torch import Tensor, nn

from lop.nets.initialisation import initialise
from lop.nets.mlp import forward_logged, mlp


class FFNN(nn.Module):
    """`input_size` inputs, `num_features` hidden units, `num_outputs` linear outputs.

    Weights are Kaiming-uniform and biases zero, drawn in the published order: with the same torch seed they are the
    published ones. SELU keeps PyTorch's own hidden weights.

    Args:
        hidden_activation: relu, leaky_relu, tanh, sigmoid, elu, selu or swish.
    """

    def __init__(self, input_size: int, num_features: int = 5, num_outputs: int = 1, hidden_activation: str = "relu"):
        super().__init__()
        self.num_inputs, self.num_features, self.num_outputs = input_size, num_features, num_outputs
        self.act_type = hidden_activation
        self.layers = mlp(input_size, [num_features], num_outputs, hidden_activation)
        if hidden_activation == "selu":
            initialise([self.layers[0]], "default", hidden_activation)
            initialise([self.layers[2]], "kaiming", hidden_activation)
        else:
            initialise(self.layers, "kaiming", hidden_activation)

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Outputs (batch, num_outputs) for inputs (batch, input_size), and [hidden activations (batch, units)]."""
        return forward_logged(self.layers, x)

    def forward(self, x: Tensor) -> Tensor:
        return self.predict(x)[0]
