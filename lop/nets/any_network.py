"""Adapter for networks of your own, which lack the methods of the networks in `lop.nets`."""

from typing import Any

from torch import Tensor, nn

from lop.plasticity import record_activations


class AnyNetwork(nn.Module):
    """A module with the interface of the networks in `lop.nets`.

    Hidden activations are those that `lop.plasticity.record_activations` finds, unless the module has a method
    `predict` that returns outputs and hidden activations.

    Args:
        net: module that maps inputs (batch, ...) to outputs (batch, outputs).
    """

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net: Any = net

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the outputs (batch, outputs) and the hidden activations (batch, ...), one tensor per layer."""
        if hasattr(self.net, "predict"):
            return self.net.predict(x)
        with record_activations(self.net, units_last=False) as found:
            output = self.net(x)
        return output, [h for _, h in found]

    def forward(self, x: Tensor, features: list[Tensor] | None = None) -> Tensor:
        """Return the outputs (batch, outputs), and append the hidden activations to `features` unless it is None."""
        if features is None:
            return self.net(x)
        output, hidden = self.predict(x)
        features += hidden
        return output


def last_linear(net: nn.Module) -> nn.Linear:
    """Return the output layer of a network: its last `nn.Linear` in the order of definition.

    Raises:
        ValueError: If the network has none.
    """
    layers = [module for module in net.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError(f"net must have an nn.Linear as its output layer, got {type(net).__name__}")
    return layers[-1]
