"""Any network's passes in bfloat16."""

from typing import Any

import torch
from torch import Tensor


class Bfloat16:
    """A network of `lop.nets` whose forward and backward passes calculate in bfloat16, by autocast.

    Weights and outputs stay float32; hidden activations are bfloat16. All else is the network's own.
    """

    def __init__(self, net: Any):
        self.net = net

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """As the network's own."""
        with torch.autocast(x.device.type, torch.bfloat16):
            output, features = self.net.predict(x)
        return output.float(), features

    def __getattr__(self, name: str) -> Any:
        return getattr(self.net, name)
