"""Networks: initialisation, shapes and activations."""

import numpy as np
import pytest
import torch
from recordings import golden
from refusals import refusal
from torch import nn
from torch.nn import functional as F

from lop.nets.activations import ACTIVATIONS
from lop.nets.conv_net import ConvNet
from lop.nets.conv_net2 import ConvNet2
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.ffnn import FFNN
from lop.nets.fix_ltu_net import FixLTUNet
from lop.nets.initialisation import gain, uniform_bound
from lop.nets.linear import MyLinear
from lop.nets.policies import MLPPolicy
from lop.nets.torchvision_modified_resnet import (
    BasicBlock,
    Downsample,
    ResNet,
    build_resnet18,
    kaiming_init_resnet_module,
    stage,
)
from lop.nets.valuefs import MLPVF


def test_bounds_match_hand_computation():
    assert uniform_bound(4, 12, "default") == 0.5
    assert uniform_bound(3, 9, "lecun", gain("relu")) == 1
    assert uniform_bound(12, 3, "kaiming", gain("ReLU")) == pytest.approx(2**0.5 / 2)
    assert uniform_bound(2, 4, "xavier", gain("tanh")) == pytest.approx(5 / 3)
    with refusal("init", "he", "kaiming", error=ValueError):
        uniform_bound(1, 1, "he")


def test_singular_values_of_orthogonal_weights_equal_the_gain():
    torch.manual_seed(0)
    policy = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8, 8), init="orthogonal")
    value = MLPVF(6, act_type="ReLU", h_dim=(8, 8), init="orthogonal")
    hidden = 2**0.5
    for net, gains in ((policy.mean_net, (hidden, hidden, 0.01)), (value.v_net, (hidden, hidden, 1))):
        layers = [module for module in net if isinstance(module, torch.nn.Linear)]
        for layer, expected in zip(layers, gains, strict=True):
            np.testing.assert_allclose(torch.linalg.svdvals(layer.weight.detach()), expected, rtol=1e-5)
            assert not layer.bias.any()
    assert uniform_bound(9, 6, "orthogonal", 2) == uniform_bound(6, 9, "orthogonal", 2) == 2 * (1 / 3) ** 0.5


@pytest.mark.parametrize("init", ["default", "kaiming", "lecun", "xavier"])
def test_initial_weights_fill_their_bound_and_biases_are_zero(init):
    torch.manual_seed(0)
    policy = MLPPolicy(50, 10, act_type="Tanh", h_dim=(40, 30), init=init)
    layers = [policy.mean_net[i] for i in (0, 2, 4)]
    for layer in layers:
        factor = 5 / 3 if layer is not layers[-1] else 1.0
        bound = uniform_bound(layer.in_features, layer.out_features, init, factor)
        assert 0.98 * bound < layer.weight.abs().max() <= bound
    assert layers[-1].bias.abs().sum() == 0
    assert (layers[0].bias.abs().sum() == 0) == (init != "default")


def test_activations_are_recorded_on_request():
    policy, value = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8, 7)), MLPVF(6, act_type="ReLU", h_dim=(8, 7))
    x = torch.randn(5, 6)
    policy.dist(x, to_log_features=True)
    value.value(x, to_log_features=True)
    policy.dist(2 * x)
    value.value(2 * x)
    for net, activations in ((policy.mean_net, policy.get_activations()), (value.v_net, value.get_activations())):
        torch.testing.assert_close(activations, [net[:2](x), net[:4](x)])


@pytest.mark.parametrize("init", ["default", "kaiming", "lecun", "xavier", "orthogonal", "gaussian"])
def test_policy_without_biases_has_only_weights(init):
    policy = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8, 7), init=init, bias=False)
    assert [name for name, _ in policy.named_parameters()] == ["log_std", *(f"mean_net.{i}.weight" for i in (0, 2, 4))]
    assert not policy.dist(torch.zeros(1, 6)).mean.any()


def test_gaussian_weights_and_biases_have_the_given_standard_deviation():
    torch.manual_seed(0)
    policy = MLPPolicy(100, 80, h_dim=(100,), init="gaussian", std_dev=0.3)
    for parameter in policy.mean_net.parameters():
        assert parameter.std().item() == pytest.approx(0.3, rel=0.2)


def test_unknown_initialisation_is_rejected():
    for make in (
        lambda: MLPPolicy(3, 2, init="normal"),
        lambda: MLPVF(3, init="normal"),
        lambda: MLPVF(3, init="gaussian"),
    ):
        with refusal("init", "kaiming", error=ValueError):
            make()


def test_output_tanh_bounds_the_means_and_is_not_recorded():
    torch.manual_seed(0)
    policy = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8,), output_tanh=True)
    torch.manual_seed(0)
    unbounded, x = MLPPolicy(6, 3, act_type="ReLU", h_dim=(8,)), 10 * torch.randn(5, 6)
    torch.testing.assert_close(policy.dist(x, to_log_features=True).mean, unbounded.dist(x).mean.tanh())
    assert [h.shape for h in policy.get_activations()] == [(5, 8)]


def test_distributions_are_stacked_indexed_and_moved():
    policy = MLPPolicy(6, 3)
    x = torch.randn(5, 6)
    whole = policy.dist(x)
    whole.scale = whole.scale * torch.arange(1.0, 6)[:, None]
    rows = [policy.dist_index(whole, slice(i, i + 1)) for i in range(5)]
    for dist in (policy.dist_stack(rows), policy.dist_to(whole, "cpu"), policy.dist_index(whole, torch.arange(5))):
        torch.testing.assert_close(dist.log_prob(x[:, :3]), whole.log_prob(x[:, :3]))
    assert policy.dist_to(whole, "meta").sample().device.type == "meta"


def test_unknown_activation_is_rejected():
    with refusal("activation", "Swoosh", "relu", error=ValueError):
        MLPVF(3, act_type="Swoosh")


def test_value_network_returns_a_column():
    assert MLPVF(3, act_type="Tanh", h_dim=()).value(torch.zeros(5, 3)).shape == (5, 1)


def test_target_network_matches_published_code():
    arrays, _ = golden("learners")
    net = FixLTUNet(20, 100, beta=0.7)
    state = {"0.weight": "w1", "0.bias": "b1", "1.weight": "w2", "1.bias": "b2"}
    net.layers.load_state_dict({name: torch.tensor(arrays[f"ltu_target/{key}"]) for name, key in state.items()})
    net.tau.copy_(torch.tensor(arrays["ltu_target/tau"]))
    np.testing.assert_array_equal(net(torch.tensor(arrays["ltu_target/x"])), arrays["ltu_target/y"])


def test_thresholds_match_hand_computation():
    """For m = 3 inputs and beta = 0.5, tau = 2 - S, where S is the number of -1; the published S miscounts biases."""
    for corrected in (False, True):
        torch.manual_seed(0)
        net = FixLTUNet(3, 50, beta=0.5, corrected_threshold=corrected)
        weight, bias = net.layers[0].weight, net.layers[0].bias
        assert set(weight.flatten().tolist()) == set(bias.tolist()) == {-1.0, 1.0}
        negatives = (weight == -1).sum(1) + ((bias == -1) if corrected else bias / 2)
        torch.testing.assert_close(net.tau, 2 - negatives.float())
        assert not any(p.requires_grad for p in net.parameters())


def test_target_unit_is_active_only_above_its_threshold():
    net = FixLTUNet(2, 1)
    net.layers.load_state_dict(
        {"0.weight": torch.ones(1, 2), "0.bias": torch.ones(1), "1.weight": torch.ones(1, 1), "1.bias": torch.zeros(1)}
    )
    net.tau.fill_(2.0)
    assert net(torch.tensor([[1.0, 0.0], [1.0, 1.0]])).tolist() == [[0.0], [1.0]]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fully_connected_networks_return_outputs_and_hidden_activations(activation):
    x = torch.randn(6, 10)
    net = FFNN(10, 4, 2, activation)
    out, hidden = net.predict(x)
    assert (out.shape, [h.shape for h in hidden]) == ((6, 2), [(6, 4)])
    torch.testing.assert_close(net(x), out)
    net = DeepFFNN(10, 7, 3, num_hidden_layers=3, act_type=activation)
    out, hidden = net.predict(x)
    assert (out.shape, [h.shape for h in hidden]) == ((6, 3), [(6, 7)] * 3)
    torch.testing.assert_close(out, net.layers(x))
    assert MyLinear(10, 2)(x).shape == (6, 2)


def test_online_normalisation_precedes_the_activation_and_dropout_follows_it():
    net = DeepFFNN(10, 7, 3, num_hidden_layers=2, dropout=0.5, online_norm=(0.99, 0.9))
    kinds = [type(module).__name__ for module in net.layers]
    assert kinds == ["Linear", "OnlineNorm", "ReLU", "Dropout"] * 2 + ["Linear"]
    _, hidden = net.predict(torch.randn(200, 10))
    assert len(hidden) == 2
    for dropout in (1, 1.5):
        with refusal("dropout", dropout, error=ValueError):
            DeepFFNN(10, dropout=dropout)
    with refusal("num_hidden_layers", 0, 1, error=ValueError):
        DeepFFNN(10, num_hidden_layers=0)


@pytest.mark.parametrize("make", [ConvNet, ConvNet2])
def test_convolutional_networks_return_outputs_and_hidden_activations(make):
    torch.manual_seed(0)
    net = make(num_classes=4)
    x = torch.randn(2, 3, 32, 32)
    out, hidden = net.predict(x)
    assert [tuple(h.shape[1:]) for h in hidden] == [(32, 14, 14), (64, 6, 6), (512,), (128,), (128,)]
    torch.manual_seed(0)
    torch.testing.assert_close(out, ConvNet(num_classes=4)(x))
    assert [type(module).__name__ for module in net.layers[:3]] == ["Conv2d", "ReLU", "Conv2d"]


def test_resnet_has_the_expected_shapes_and_parameters():
    net = build_resnet18(5, torch.nn.BatchNorm2d)
    net.apply(kaiming_init_resnet_module)
    out, hidden = net.predict(torch.randn(2, 3, 32, 32))
    assert out.shape == (2, 5)
    shapes = [(64, 32, 32)] * 5 + [(128, 16, 16)] * 4 + [(256, 8, 8)] * 4 + [(512, 4, 4)] * 3 + [(512,)]
    assert [tuple(h.shape[1:]) for h in hidden] == shapes
    torchvisions = 11_689_512 - 1000 * 513 + 5 * 513 - 64 * 3 * (49 - 9)  # with this head and stem
    assert sum(p.numel() for p in net.parameters()) == torchvisions + 4_800  # biases of the convolutions
    assert all(m.bias.abs().sum() == 0 for m in net.modules() if isinstance(m, torch.nn.Conv2d))


class Scaled(BasicBlock):
    def forward(self, x, feature_list=None):
        return 2 * super().forward(x, feature_list)


def test_resnet_is_built_from_the_given_blocks_with_the_published_arguments():
    torch.manual_seed(0)
    net = ResNet(Scaled, [1, 2, 1, 1], 5, True, 1, 64, [False] * 3, nn.BatchNorm2d)
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3, net.layer4)] == [1, 2, 1, 1]
    assert all(isinstance(block, Scaled) and not block.bn2.weight.any() for block in net.layer2)
    assert net(torch.randn(2, 3, 32, 32)).shape == (2, 5)
    assert ResNet(BasicBlock, [1, 1, 1, 1], width=1).fc.out_features == 1000
    assert isinstance(ResNet(BasicBlock, [1, 1, 1, 1], norm_layer=nn.Identity, width=1).bn1, nn.Identity)


def test_unsupported_arguments_of_a_resnet_are_rejected():
    for argument, value in (("groups", 2), ("width_per_group", 32)):
        with refusal("groups", "base_width", 1, 64, value, error=ValueError):
            ResNet(BasicBlock, [1, 1, 1, 1], width=1, **{argument: value})
    with refusal("replace_stride_with_dilation", "True", error=ValueError):
        ResNet(BasicBlock, [1, 1, 1, 1], replace_stride_with_dilation=[False, False, True])


def test_initial_parameters_of_a_shortcut_are_drawn_before_those_of_its_block():
    """As in the published code: the default initialisation of the biases is kept."""
    net = ResNet(BasicBlock, [1, 1, 1, 1], width=2)
    torch.manual_seed(0)
    expected = [nn.Conv2d(2, 4, 1).bias, nn.Conv2d(2, 4, 3).bias, nn.Conv2d(4, 4, 3).bias]
    torch.manual_seed(0)
    (block,) = stage(BasicBlock, 2, 4, 1, 2, nn.BatchNorm2d)
    for convolution, bias in zip((block.downsample[0], block.conv1, block.conv2), expected, strict=True):
        assert torch.equal(convolution.bias, bias)
    assert list(dict(net.layer2[0].named_children())) == ["conv1", "bn1", "conv2", "bn2", "downsample"]


def test_channels_scales_all_layers_of_a_convolutional_network():
    shapes = [tuple(one.shape) for one in ConvNet(3, channels=2).parameters() if one.ndim > 1]
    assert shapes == [(2, 3, 5, 5), (4, 2, 3, 3), (8, 4, 3, 3), (8, 32), (8, 8), (3, 8)]


@pytest.mark.parametrize(("stride", "sizes"), [(1, [32, 16, 8, 4]), (2, [16, 8, 4, 2])])
def test_stem_stride_determines_the_resolution_of_a_resnet(stride, sizes):
    net = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=3, width=2, stem_stride=stride)
    _, features = net.predict(torch.randn(2, 3, 32, 32))
    assert [h.shape[2] for h in features[1::2]] == sizes  # of the first convolution in each stage


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_gradients_of_a_narrow_resnet_are_the_same_with_channels_last(width):
    """With a 1x1 convolution of stride 2 on the shortcut, the process occasionally crashes here."""
    torch.manual_seed(1)
    x, gradients = torch.randn(6, 3, 32, 32), []
    for layout in (torch.contiguous_format, torch.channels_last):
        torch.manual_seed(0)
        net = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=3, width=width).to(memory_format=layout)
        for _ in range(5):
            net.zero_grad()
            net(x.contiguous(memory_format=layout)).square().sum().backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in net.parameters()]))
    plain, last = gradients
    assert torch.linalg.vector_norm(last - plain) < 0.01 * torch.linalg.vector_norm(plain)


def test_shortcut_of_a_block_is_a_convolution_with_its_stride():
    block = BasicBlock(4, 6, 2, Downsample(4, 6, 2, nn.Identity), norm_layer=nn.Identity)
    x = torch.randn(2, 4, 8, 8)
    block.conv2.weight.data.zero_()
    block.conv2.bias.data.zero_()
    around, _ = block.downsample
    wanted = F.relu(F.conv2d(x, around.weight, around.bias, stride=2))
    torch.testing.assert_close(block(x), wanted)
