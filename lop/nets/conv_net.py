"""Three convolutions and three fully connected layers: the learner of Continual ImageNet."""

from torch import Tensor, nn
from torch.nn import functional as F

from lop.nets.pooling import relu_pool


class ConvNet(nn.Module):
    """Convolutions 5x5x32, 3x3x64, 3x3x128, each with ReLU and 2x2 max pooling, then 128, 128 and `num_classes` units.

    With other `channels` than 32 in the first convolution, the other layers but the last are wider or narrower too, in
    proportion. Takes images (batch, 3, 32, 32); a processor is faster where channels lie last in memory
    (`torch.channels_last`). Keeps PyTorch's own initial weights, drawn in the published order.
    """

    last_filter_output = 2 * 2  # pixels of a last feature map
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
        """Layers with weights at even places and their activations between, as published."""
        weights = (self.conv1, self.conv2, self.conv3, self.fc1, self.fc2)
        return [*(module for layer in weights for module in (layer, nn.ReLU())), self.fc3]

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Outputs (batch, num_classes) and the five hidden layers' activations, as the next layer receives them."""
        x1 = relu_pool(self.conv1(x))  # (batch, 32, 14, 14)
        x2 = relu_pool(self.conv2(x1))  # (batch, 64, 6, 6)
        x3 = relu_pool(self.conv3(x2)).flatten(1)  # (batch, 512)
        x4 = F.relu(self.fc1(x3))  # (batch, 128)
        x5 = F.relu(self.fc2(x4))  # (batch, 128)
        return self.fc3(x5), [x1, x2, x3, x4, x5]

    def forward(self, x: Tensor) -> Tensor:
        return self.predict(x)[0]
