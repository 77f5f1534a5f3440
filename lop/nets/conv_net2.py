"""Network of Continual ImageNet with continual backpropagation as layers of the network."""

from typing import Any

from torch import Tensor
from torch.nn import functional as F

from lop.algos.cbp_conv import CBPConv
from lop.algos.cbp_linear import CBPLinear
from lop.nets.conv_net import ConvNet
from lop.nets.pooling import relu_pool


class ConvNet2(ConvNet):
    """`ConvNet` whose hidden layers replace their own units during `loss.backward()`.

    Args:
        num_classes: number of outputs.
        replacement_rate: fraction of mature units to replace per step; 0 disables replacement.
        init: distribution of new weights of linear layers.
        maturity_threshold: number of steps during which a new unit is not replaced.
        util_type: see `lop.algos.utilities`.
        decay_rate: decay rate of the running utilities; with 0, they are those of the last step.
        channels: see `ConvNet`.
    """

    def __init__(
        self,
        num_classes: int = 2,
        replacement_rate: float = 0,
        init: str = "default",
        maturity_threshold: int = 100,
        util_type: str = "contribution",
        decay_rate: float = 0,
        channels: int = 32,
    ):
        super().__init__(num_classes, channels)
        settings: Any = {
            "replacement_rate": replacement_rate,
            "maturity_threshold": maturity_threshold,
            "init": init,
            "util_type": util_type,
            "decay_rate": decay_rate,
        }
        self.cbp1 = CBPConv(self.conv1, self.conv2, **settings)
        self.cbp2 = CBPConv(self.conv2, self.conv3, **settings)
        self.cbp3 = CBPConv(self.conv3, self.fc1, **settings)
        self.cbp4 = CBPLinear(self.fc1, self.fc2, **settings)
        self.cbp5 = CBPLinear(self.fc2, self.fc3, **settings)

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute outputs and hidden activations, and record the latter; see `ConvNet.predict`."""
        x1 = self.cbp1(relu_pool(self.conv1(x)))
        x2 = self.cbp2(relu_pool(self.conv2(x1)))
        x3 = self.cbp3(relu_pool(self.conv3(x2)).flatten(1))
        x4 = self.cbp4(F.relu(self.fc1(x3)))
        x5 = self.cbp5(F.relu(self.fc2(x4)))
        return self.fc3(x5), [x1, x2, x3, x4, x5]
