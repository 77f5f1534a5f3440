"""Network with one hidden layer, the learner of slowly-changing regression."""

from torch import Tensor, nn

from lop.nets.initialisation import initialise
from lop.nets.mlp import forward_logged, mlp


class FFNN(nn.Module):
    """Network of `input_size` inputs, `num_features` hidden units and `num_outputs` linear outputs.

    Weights are Kaiming-uniform and biases zero, drawn in the same order as in the published code, so that the same
    PyTorch seed gives the published weights. With SELU, the hidden layer keeps PyTorch's default weights.

    Args:
        input_size: number of inputs.
        num_features: number of hidden units.
        num_outputs: number of outputs.
        hidden_activation: activation: relu, leaky_relu, tanh, sigmoid, elu, selu or swish.
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
        """Compute outputs and hidden activations.

        Args:
            x: inputs (batch, input_size).

        Returns:
            Outputs (batch, num_outputs), and a list with the hidden activations (batch, num_features).
        """
        return forward_logged(self.layers, x)

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, num_outputs)."""
        return self.predict(x)[0]
