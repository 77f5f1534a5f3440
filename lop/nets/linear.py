"""A linear network."""

from torch import Tensor, nn

from lop.nets.initialisation import initialise


class MyLinear(nn.Module):
    """One linear layer from `input_size` to `num_outputs`, Kaiming-uniform weights, no hidden units."""

    def __init__(self, input_size: int, num_outputs: int = 1):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(input_size, num_outputs)])
        initialise(self.layers, "kaiming", "linear")

    def predict(self, x: Tensor) -> tuple[Tensor, None]:
        """Outputs (batch, num_outputs) for inputs (batch, input_size), and None for the hidden activations."""
        return self.layers[0](x), None

    def forward(self, x: Tensor) -> Tensor:
        return self.predict(x)[0]
