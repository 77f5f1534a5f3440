"""Network of three convolutions and three fully connected layers, the learner of Continual ImageNet."""

from torch import Tensor, nn
from torch.nn import functional as F

from lop.nets.pooling import relu_pool


class ConvNet(nn.Module):
    """Three convolutions, each with ReLU and 2x2 max pooling, then fully connected layers.

    The convolutions are 5x5x32, 3x3x64 and 3x3x128; the fully connected layers have 128, 128 and `num_classes` units.

    The input is a batch of images (batch, 3, 32, 32). On the CPU, the channels-last memory format is faster. Initial
    weights are PyTorch's defaults, drawn in the same order as in the published code.

    Args:
        num_classes: number of outputs.
        channels: channels of the first convolution. All other layers except the last scale in proportion.
    """

    last_filter_output = 2 * 2  # pixels of each feature map after the last pooling
    act_type = "relu"

    def __init__(self, num_classes: int = 2, channels: int = 32):
        super().__init__()
        units = 4 * channels
        self.conv1 = nn.Conv2d(3, channels, 5)
        self.conv2 = nn.Conv2d(channels, 2 * channels, 3)
        self.conv3 = nn.Conv2d(2 * channels, units, 3)
        self.num_conv_outputs = units * self.last_filter_output
        self.fc1 = nn.Linear(self.num_conv_outputs, units)
        self.fc2 = nn.Linear(units, units)
        self.fc3 = nn.Linear(units, num_classes)

    @property
    def layers(self) -> list[nn.Module]:
        """Layers with weights at even indices and their activations in between, as in the published code."""
        weights = (self.conv1, self.conv2, self.conv3, self.fc1, self.fc2)
        return [*(module for layer in weights for module in (layer, nn.ReLU())), self.fc3]

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Compute outputs and hidden activations.

        Args:
            x: images (batch, 3, 32, 32).

        Returns:
            Outputs (batch, num_classes), and the activations of the five hidden layers as the next layer receives them.
        """
        x1 = relu_pool(self.conv1(x))  # (batch, 32, 14, 14)
        x2 = relu_pool(self.conv2(x1))  # (batch, 64, 6, 6)
        x3 = relu_pool(self.conv3(x2)).flatten(1)  # (batch, 512)
        x4 = F.relu(self.fc1(x3))  # (batch, 128)
        x5 = F.relu(self.fc2(x4))  # (batch, 128)
        return self.fc3(x5), [x1, x2, x3, x4, x5]

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs (batch, num_classes)."""
        return self.predict(x)[0]
