"""ResNet-18 for 32x32 images, the learner of incremental CIFAR-100 (He et al. 2016, arXiv 1512.03385).

This is Torchvision's network with a stem of a single 3x3 convolution without pooling, and with biases in all
convolutions. The names of its parameters and the order in which they are drawn are those of Torchvision.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """Create a 3x3 convolution with padding 1."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1)


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions with normalisation.

    Args:
        in_planes: Number of input channels.
        planes: Number of output channels.
        stride: Stride of the first convolution.
        norm_layer: Function that creates a normalisation from a number of channels.
    """

    def __init__(self, in_planes: int, planes: int, stride: int, norm_layer: Norm):
        super().__init__()
        self.conv1 = conv3x3(in_planes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.stride = stride
        self.downsample: nn.Module | None = None
        if stride != 1 or in_planes != planes:
            # `forward` subsamples the pixels instead of using a stride, which is equivalent. With a stride, oneDNN's
            # gradient of a 1x1 convolution of few channels writes out of bounds (uxlfoundation/oneDNN issue 6035).
            self.downsample = nn.Sequential(nn.Conv2d(in_planes, planes, kernel_size=1), norm_layer(planes))

    def forward(self, x: Tensor, feature_list: list | None = None) -> Tensor:
        """Return the output of the block.

        Args:
            x: Feature maps (batch, in_planes, height, width).
            feature_list: List to which the activations of both convolutions are appended.

        Returns:
            Feature maps (batch, planes, height / stride, width / stride).
        """
        hidden = F.relu(self.bn1(self.conv1(x)))
        around = x if self.downsample is None else self.downsample(x[:, :, :: self.stride, :: self.stride])
        out = F.relu(self.bn2(self.conv2(hidden)) + around)
        if feature_list is not None:
            feature_list += [hidden, out]
        return out


class ResNet(nn.Module):
    """Residual network for images (batch, 3, 32, 32).

    Args:
        layers: Number of blocks in each of the four stages.
        num_classes: Number of outputs.
        norm_layer: Function that creates a normalisation from a number of channels, such as `nn.BatchNorm2d` or
            `nn.Identity`.
        width: Number of channels of the first stage; it doubles with each further stage.
        stem_stride: Stride of the first convolution; 1 in the published network.
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
        """Return the outputs.

        Args:
            x: Images (batch, 3, 32, 32).
            feature_list: List to which the activations of the hidden layers are appended, 17 in ResNet-18. Each is
                (batch, channels, height, width), as the next convolution receives it; the last one is pooled,
                (batch, channels).

        Returns:
            Outputs (batch, num_classes).
        """
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
        """Return the outputs (batch, num_classes) and a list of the hidden activations; see `forward`."""
        features: list[Tensor] = []
        return self.forward(x, features), features


def stage(in_planes: int, planes: int, n_blocks: int, stride: int, norm_layer: Norm) -> nn.Sequential:
    """Create a stage of residual blocks, the first of which may have a stride and change the number of channels."""
    first = BasicBlock(in_planes, planes, stride, norm_layer)
    return nn.Sequential(first, *(BasicBlock(planes, planes, 1, norm_layer) for _ in range(n_blocks - 1)))


def build_resnet18(num_classes: int, norm_layer: Norm) -> ResNet:
    """Create a ResNet-18, which has two blocks in each stage.

    `net.apply(kaiming_init_resnet_module)` then draws the paper's initial weights.

    Args:
        num_classes: Number of outputs.
        norm_layer: Function that creates a normalisation from a number of channels.
    """
    return ResNet((2, 2, 2, 2), num_classes, norm_layer)


@torch.no_grad()
def kaiming_init_resnet_module(nn_module: nn.Module) -> None:
    """Initialise one module of a ResNet in place.

    Weights are Kaiming-normal with mode `fan_in` (gain sqrt(2) for convolutions, 1 for the output layer), biases zero,
    and normalisations have scale 1 and bias 0. Weights are drawn from PyTorch's CPU generator on all devices.

    Args:
        nn_module: Module; types other than convolutions, linear layers and batch normalisation are not changed.
    """
    if isinstance(nn_module, nn.Conv2d | nn.Linear):
        weight = torch.empty(nn_module.weight.shape)
        nn.init.kaiming_normal_(weight, nonlinearity="relu" if isinstance(nn_module, nn.Conv2d) else "linear")
        nn_module.weight.copy_(weight)
        if nn_module.bias is not None:
            nn_module.bias.zero_()
    elif isinstance(nn_module, nn.BatchNorm2d):
        nn_module.weight.fill_(1)
        nn_module.bias.zero_()
