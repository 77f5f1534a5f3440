"""ResNet-18 for 32x32 images, the learner of incremental CIFAR-100 (He et al. 2016, arXiv 1512.03385).

This is Torchvision's network with a stem of a single 3x3 convolution without pooling, and with biases in all
convolutions. The names of its parameters and the order in which they are drawn are those of Torchvision.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Norm = Callable[[int], nn.Module]


def conv3x3(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """Create a 3x3 convolution with padding 1."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=3, stride=stride, padding=1)


class Downsample(nn.Sequential):
    """Shortcut of a block that changes the number of channels: 1x1 convolution with a stride and normalisation.

    Args:
        inplanes: number of input channels.
        planes: number of output channels.
        stride: stride of the convolution.
        norm_layer: function that creates a normalisation from a number of channels.
    """

    def __init__(self, inplanes: int, planes: int, stride: int, norm_layer: Norm):
        super().__init__(nn.Conv2d(inplanes, planes, kernel_size=1), norm_layer(planes))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Return feature maps (batch, planes, height / stride, width / stride).

        The pixels are subsampled before the convolution, which is equivalent to a stride. With a stride, oneDNN's
        gradient of a 1x1 convolution of few channels writes out of bounds (uxlfoundation/oneDNN issue 6035).
        """
        return super().forward(x[:, :, :: self.stride, :: self.stride])


class BasicBlock(nn.Module):
    """Residual block of two 3x3 convolutions with normalisation.

    Args:
        inplanes: number of input channels.
        planes: number of output channels.
        stride: stride of the first convolution.
        downsample: module of the shortcut; required if the block changes the shape of the feature maps.
        groups: must be 1.
        base_width: must be 64.
        dilation: must be 1.
        norm_layer: function that creates a normalisation from a number of channels; `nn.BatchNorm2d` if None.

    Raises:
        ValueError: If `groups`, `base_width` or `dilation` has another value.
    """

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ):
        super().__init__()
        if (groups, base_width, dilation) != (1, 64, 1):
            raise ValueError(
                f"groups, base_width and dilation must be 1, 64 and 1, got {groups}, {base_width} and {dilation}"
            )
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample

    def forward(self, x: Tensor, feature_list: list | None = None) -> Tensor:
        """Return the output of the block.

        Args:
            x: feature maps (batch, inplanes, height, width).
            feature_list: list to which the activations of both convolutions are appended.

        Returns:
            Feature maps (batch, planes, height / stride, width / stride).
        """
        hidden = F.relu(self.bn1(self.conv1(x)))
        around = x if self.downsample is None else self.downsample(x)
        out = F.relu(self.bn2(self.conv2(hidden)) + around)
        if feature_list is not None:
            feature_list += [hidden, out]
        return out


class ResNet(nn.Module):
    """Residual network for images (batch, 3, 32, 32).

    Arguments after `norm_layer` are not in the published code.

    Args:
        block: class of the blocks, such as `BasicBlock`.
        layers: number of blocks in each of the four stages.
        num_classes: number of outputs.
        zero_init_residual: initialise the scale of the last normalisation of each block with 0.
        groups: argument of the blocks.
        width_per_group: argument `base_width` of the blocks.
        replace_stride_with_dilation: None, or False for each of the last three stages.
        norm_layer: function that creates a normalisation from a number of channels, such as `nn.BatchNorm2d`, the
            default, or `nn.Identity`.
        width: number of channels of the first stage; it doubles with each further stage.
        stem_stride: stride of the first convolution.

    Raises:
        ValueError: If `replace_stride_with_dilation` contains True, or the blocks reject their arguments.
    """

    def __init__(
        self,
        block: type[BasicBlock],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
        width: int = 64,
        stem_stride: int = 1,
    ):
        super().__init__()
        if any(replace_stride_with_dilation or ()):
            raise ValueError(
                f"replace_stride_with_dilation must be None or all False, got {replace_stride_with_dilation!r}"
            )
        norm_layer = norm_layer or nn.BatchNorm2d
        new_block = partial(block, groups=groups, base_width=width_per_group, norm_layer=norm_layer)
        self.conv1 = conv3x3(3, width, stem_stride)
        self.bn1 = norm_layer(width)
        self.layer1 = stage(new_block, width, width, layers[0], 1, norm_layer)
        self.layer2 = stage(new_block, width, 2 * width, layers[1], 2, norm_layer)
        self.layer3 = stage(new_block, 2 * width, 4 * width, layers[2], 2, norm_layer)
        self.layer4 = stage(new_block, 4 * width, 8 * width, layers[3], 2, norm_layer)
        self.fc = nn.Linear(8 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, BasicBlock) and zero_init_residual:
                nn.init.zeros_(module.bn2.get_parameter("weight"))

    def forward(self, x: Tensor, feature_list: list | None = None) -> Tensor:
        """Return the outputs.

        Args:
            x: images (batch, 3, 32, 32).
            feature_list: list to which the activations of the hidden layers are appended, 17 in ResNet-18. Each is
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


def stage(
    block: Callable[..., nn.Module], inplanes: int, planes: int, n_blocks: int, stride: int, norm_layer: Norm
) -> nn.Sequential:
    """Create a stage of residual blocks, the first of which may have a stride and change the number of channels."""
    changes = stride != 1 or inplanes != planes
    first = block(inplanes, planes, stride, Downsample(inplanes, planes, stride, norm_layer) if changes else None)
    return nn.Sequential(first, *(block(planes, planes) for _ in range(n_blocks - 1)))


def build_resnet18(num_classes: int, norm_layer: Norm, width: int = 64, stem_stride: int = 1) -> ResNet:
    """Create a ResNet-18, which has two blocks in each stage.

    `net.apply(kaiming_init_resnet_module)` then draws the paper's initial weights.

    Args:
        num_classes: number of outputs.
        norm_layer: function that creates a normalisation from a number of channels.
        width: see `ResNet`.
        stem_stride: see `ResNet`.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), num_classes, norm_layer=norm_layer, width=width, stem_stride=stem_stride)


@torch.no_grad()
def kaiming_init_resnet_module(nn_module: nn.Module) -> None:
    """Initialise one module of a ResNet in place.

    Weights are Kaiming-normal with mode `fan_in` (gain sqrt(2) for convolutions, 1 for the output layer), biases zero,
    and normalisations have scale 1 and bias 0. Weights are drawn from PyTorch's CPU generator on all devices.

    Args:
        nn_module: module; types other than convolutions, linear layers and batch normalisation are not changed.
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
