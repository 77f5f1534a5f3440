"""Forward and backward passes in bfloat16 for any network."""

from typing import Any

import torch
from torch import Tensor


class Bfloat16:
    """Wrapper that runs the passes of a network of `lop.nets` in bfloat16 with autocast.

    Weights and outputs remain float32; hidden activations are bfloat16. All other attributes are those of the network.

    Args:
        net: network with a method `predict`.
    """

    def __init__(self, net: Any):
        self.net = net

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor] | None]:
        """Return the outputs in float32 and the hidden activations in bfloat16; see `predict` of the network."""
        with torch.autocast(x.device.type, torch.bfloat16):
            output, features = self.net.predict(x)
        return output.float(), features

    def __getattr__(self, name: str) -> Any:
        # copy and pickle look up special methods, such as __setstate__, before `net` is set.
        if name == "net" or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(self.net, name)
