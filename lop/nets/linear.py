"""Linear network."""

from torch import Tensor, nn

from lop.nets.initialisation import initialise


class MyLinear(nn.Module):
    """Network of a single linear layer with Kaiming-uniform weights.

    Args:
        input_size: number of inputs.
        num_outputs: number of outputs.
    """

    def __init__(self, input_size: int, num_outputs: int = 1):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(input_size, num_outputs)])
        initialise(self.layers, "kaiming", "linear")

    def predict(self, x: Tensor) -> tuple[Tensor, None]:
        """Compute outputs.

        Args:
            x: inputs (batch, input_size).

        Returns:
            Outputs (batch, num_outputs), and None in place of hidden activations.
        """
        return self.layers[0](x), None

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, num_outputs)."""
        return self.predict(x)[0]
