"""ResNet-18 for images of 32x32: the learner of incremental CIFAR-100 (He et al. 2016, arXiv 1512.03385).

Torchvision's network with a stem of one 3x3 convolution and no pooling, and with biases in all
convolutions. The names of its parameters, and the order in which they are drawn, are torchvision's.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions, each with normalisation, and a connection around both."""

    def __init__(self, in_planes: int, planes: int, stride: int, norm_layer: Norm):
        super().__init__()
        self.conv1 = conv3x3(in_planes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.stride = stride
        self.downsample: nn.Module | None = None
        if stride != 1 or in_planes != planes:
            # `forward` leaves pixels out instead of a stride here: it is the same function. With one, oneDNN's gradient
            # of a 1x1 convolution of few channels writes beyond its memory (uxlfoundation/oneDNN issue 6035).
            self.downsample = nn.Sequential(nn.Conv2d(in_planes, planes, kernel_size=1), norm_layer(planes))

    def forward(self, x: Tensor, feature_list: list | None = None) -> Tensor:
        hidden = F.relu(self.bn1(self.conv1(x)))
        around = x if self.downsample is None else self.downsample(x[:, :, :: self.stride, :: self.stride])
        out = F.relu(self.bn2(self.conv2(hidden)) + around)
        if feature_list is not None:
            feature_list += [hidden, out]
        return out


class ResNet(nn.Module):
    """Residual network for images (batch, 3, 32, 32).

    Args:
        layers: blocks in each of the four stages.
        num_classes: outputs.
        norm_layer: `nn.BatchNorm2d`, `nn.Identity`, or any other module made from a number of channels.
        width: channels of the first stage; every further stage has twice as many.
        stem_stride: of the first convolution; 1 as published; 2 leaves a quarter of the pixels.
    """

    def __init__(
        self,
        layers: Sequence[int] = (2, 2, 2, 2),
        num_classes: int = 100,
        norm_layer: Norm = nn.BatchNorm2d,
        width: int = 64,
        stem_stride: int = 1,
    ):
        super().__init__()
        self.conv1 = conv3x3(3, width, stem_stride)
        self.bn1 = norm_layer(width)
        self.layer1 = stage(width, width, layers[0], 1, norm_layer)
        self.layer2 = stage(width, 2 * width, layers[1], 2, norm_layer)
        self.layer3 = stage(2 * width, 4 * width, layers[2], 2, norm_layer)
        self.layer4 = stage(4 * width, 8 * width, layers[3], 2, norm_layer)
        self.fc = nn.Linear(8 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, feature_list: list | None = None) -> Tensor:
        """Outputs (batch, num_classes); appends the 17 hidden layers' activations to `feature_list`, each
        (batch, channels, height, width) as the next convolution receives it, the last one pooled, (batch, channels)."""
        x = F.relu(self.bn1(self.conv1(x)))
        if feature_list is not None:
            feature_list.append(x)
        for blocks in (self.layer1, self.layer2, self.layer3, self.layer4):
            for block in blocks:
                x = block(x, feature_list)
        x = F.adaptive_avg_pool2d(x, 1).flatten(1)
        if feature_list is not None:
            feature_list[-1] = x
        return self.fc(x)

    def predict(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Outputs (batch, num_classes) and the hidden activations that `forward` appends."""
        features: list[Tensor] = []
        return self.forward(x, features), features


def stage(in_planes: int, planes: int, n_blocks: int, stride: int, norm_layer: Norm) -> nn.Sequential:
    first = BasicBlock(in_planes, planes, stride, norm_layer)
    return nn.Sequential(first, *(BasicBlock(planes, planes, 1, norm_layer) for _ in range(n_blocks - 1)))


def build_resnet18(num_classes: int, norm_layer: Norm) -> ResNet:
    """ResNet-18: two blocks in each stage. `net.apply(kaiming_init_resnet_module)` then gives the paper's weights."""
    return ResNet((2, 2, 2, 2), num_classes, norm_layer)


@torch.no_grad()
def kaiming_init_resnet_module(nn_module: nn.Module) -> None:
    """Kaiming-normal weights (fan in; gain sqrt 2 for convolutions, 1 for the output), zero biases, neutral norms.

    Drawn from torch's CPU generator, on whatever device the module is."""
    if isinstance(nn_module, nn.Conv2d | nn.Linear):
        weight = torch.empty(nn_module.weight.shape)
        nn.init.kaiming_normal_(weight, nonlinearity="relu" if isinstance(nn_module, nn.Conv2d) else "linear")
        nn_module.weight.copy_(weight)
        if nn_module.bias is not None:
            nn_module.bias.zero_()
    elif isinstance(nn_module, nn.BatchNorm2d):
        nn_module.weight.fill_(1)
        nn_module.bias.zero_()
