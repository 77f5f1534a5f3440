"""Units of each type of layer, and the detection of hidden layers in a network."""

import pytest
import torch
from refusals import names, refusal
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune
from torch.nn.utils.parametrizations import weight_norm

from lop.algos.tracing import find_hidden_layers
from lop.algos.unit_statistics import UnitStatistics
from lop.algos.units import HiddenLayer, hidden_layers
from lop.nets.conv_net import ConvNet
from lop.nets.online_norm import OnlineNorm
from lop.nets.torchvision_modified_resnet import build_resnet18


def test_units_of_a_convolution_are_its_channels():
    layer = HiddenLayer(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 3, 2))
    h = torch.randn(2, 2, 3, 3)
    assert (layer.units, layer.columns, layer.inputs, layer.fan_in) == (2, 2, 1, 1)
    torch.testing.assert_close(layer.activity(h), h.abs().mean((0, 2, 3)))
    torch.testing.assert_close(layer.activity(h.to(memory_format=torch.channels_last)), h.abs().mean((0, 2, 3)))
    torch.testing.assert_close(layer.average(h), h.mean((0, 2, 3)))
    centre = torch.tensor([1.0, -2.0])
    torch.testing.assert_close(layer.activity(h, centre), (h - centre.view(1, 2, 1, 1)).abs().mean((0, 2, 3)))
    torch.testing.assert_close(layer.outgoing_magnitude(), layer.outgoing[0].weight.detach().abs().mean((0, 2, 3)))
    torch.testing.assert_close(layer.incoming_magnitude(), layer.incoming.weight.detach().abs().flatten())


def test_units_of_a_flattened_convolution_have_several_columns():
    layer = HiddenLayer(nn.Conv2d(1, 2, 1), nn.Linear(2 * 4, 5))
    h = torch.randn(3, 2, 2, 2)
    assert (layer.units, layer.columns, layer.inputs) == (2, 8, 4)
    for maps in (h, h.to(memory_format=torch.channels_last), h.flatten(1)):
        torch.testing.assert_close(layer.activity(maps), h.abs().mean(0).flatten())
        torch.testing.assert_close(layer.average(maps), h.mean(0).flatten())
    torch.testing.assert_close(layer.per_unit(layer.activity(h.flatten(1))), h.abs().mean((0, 2, 3)))
    torch.testing.assert_close(layer.per_column(torch.tensor([1.0, 2.0])), torch.tensor([1.0] * 4 + [2.0] * 4))


def test_sequences_and_several_heads_are_supported():
    heads = nn.Linear(3, 1), nn.Linear(3, 4)
    layer = HiddenLayer(nn.Linear(2, 3), heads)
    h = torch.randn(2, 5, 3)  # (batch, time, units)
    torch.testing.assert_close(layer.activity(h), h.abs().mean((0, 1)))
    together = torch.cat([head.weight for head in heads]).detach()
    torch.testing.assert_close(layer.outgoing_magnitude(), together.abs().mean(0))
    layer.renew(torch.tensor([1]), lambda n: torch.full((n, 2), 7.0))
    assert all(head.weight[:, 1].abs().sum() == 0 for head in heads)


@pytest.mark.parametrize(
    ("outgoing", "columns"), [(nn.Conv2d(2, 3, 2), [1]), (nn.Linear(2 * 4, 5), [4, 5, 6, 7]), (nn.Linear(2, 5), [1])]
)
def test_renew_changes_only_the_given_unit(outgoing, columns):
    conv, norm = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)
    for parameter in [*norm.parameters(), norm.running_mean, norm.running_var]:
        parameter.data.fill_(3)
    before = conv.weight[0].item(), conv.bias[0].item()
    HiddenLayer(conv, outgoing, [norm]).renew(torch.tensor([1]), lambda n: torch.full((n, 1), 7.0))
    assert (conv.weight[0].item(), conv.bias[0].item()) == before
    assert (conv.weight[1].item(), conv.bias[1].item()) == (7, 0)
    assert norm.weight.tolist() == norm.running_var.tolist() == [3, 1]
    assert norm.bias.tolist() == norm.running_mean.tolist() == [3, 0]
    silent = torch.zeros(outgoing.weight.shape[1], dtype=torch.bool)
    silent[columns] = True
    assert outgoing.weight[:, silent].abs().sum() == 0
    assert outgoing.weight[:, ~silent].abs().min() > 0


def test_renew_resets_flattened_and_online_normalisation():
    conv, flat_norm, online = nn.Conv2d(1, 2, 1), nn.BatchNorm1d(8), OnlineNorm(2)
    flat_norm.running_mean.fill_(3)
    online.output_error.fill_(3)
    HiddenLayer(conv, nn.Linear(8, 1), [flat_norm, online]).renew(torch.tensor([1]), lambda n: torch.zeros(n, 1))
    assert flat_norm.running_mean.tolist() == [3] * 4 + [0] * 4
    assert online.output_error.tolist() == [3, 0]
    assert online.running_var.tolist() == [1, 1]


@pytest.mark.parametrize(
    "modules",
    [
        (nn.Linear(2, 3), nn.Linear(4, 5)),
        (nn.Conv2d(1, 3, 1), nn.Linear(7, 5)),
        (nn.Linear(2, 3), nn.Linear(6, 5)),
    ],
)
def test_error_names_both_layers_that_do_not_fit(modules):
    with refusal(*modules, error=ValueError):
        HiddenLayer(*modules)


@pytest.mark.parametrize(
    ("modules", "facts"),
    [
        ((nn.Linear(2, 3), nn.ReLU()), (nn.ReLU(), "Linear", "Conv1d", "Conv2d", "Conv3d")),
        ((nn.Conv2d(1, 4, 1), nn.Conv2d(4, 4, 1, groups=4)), (nn.Conv2d(4, 4, 1, groups=4), "groups=1")),
        ((nn.Linear(2, 3), nn.Linear(3, 1), [nn.BatchNorm1d(4)]), (nn.BatchNorm1d(4), nn.Linear(2, 3), 3)),
    ],
)
def test_unsupported_layers_and_normalisations_are_rejected(modules, facts):
    with refusal(*facts, error=ValueError):
        HiddenLayer(*modules)


def test_layer_with_a_parametrised_weight_is_rejected():
    with refusal("ParametrizedLinear", error=ValueError):
        HiddenLayer(weight_norm(nn.Linear(2, 3)), nn.Linear(3, 1))


def test_layers_of_a_sequence_include_their_normalisation():
    norm = nn.LayerNorm(4)
    layers = hidden_layers([nn.Linear(3, 4), norm, nn.ReLU(), nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 1)])
    assert [(layer.units, layer.norms) for layer in layers] == [(4, [norm]), (5, [])]


class Branches(nn.Module):
    """Network with a trunk, a residual block, two heads, a layer used twice, and attention-like mixing."""

    def __init__(self):
        super().__init__()
        self.trunk, self.up, self.down = nn.Linear(6, 8), nn.Linear(8, 16), nn.Linear(16, 8)
        self.shared, self.last = nn.Linear(8, 8), nn.Linear(8, 12)
        self.policy, self.value = nn.Linear(12, 3), nn.Linear(12, 1)
        self.mixed, self.after = nn.Linear(8, 8), nn.Linear(8, 2)

    def forward(self, x, scale=None):
        h = torch.relu(self.trunk(x))
        h = h + self.down(F.gelu(self.up(h)))
        h = self.shared(torch.tanh(self.shared(h)))
        weights = torch.softmax(self.mixed(h), -1)
        if scale is not None:
            h = h * scale
        last = F.dropout(F.leaky_relu(self.last(h)), 0.1).view(x.size(0), -1)
        return self.policy(last), self.value(last), self.after(weights)


def test_tracing_finds_replaceable_layers_and_explains_the_others():
    net = Branches()
    found, left_out = find_hidden_layers(net)
    assert list(found) == ["up", "last"]
    assert found["up"].outgoing == [net.down]
    assert found["last"].outgoing == [net.policy, net.value]
    names(left_out["trunk"], "add")
    names(left_out["shared"], net.shared)  # used twice
    names(left_out["mixed"], "softmax")
    names(left_out["policy"], "outputs")


def test_tracing_finds_hidden_layers_of_convolutional_networks():
    net = ConvNet()
    found, _ = find_hidden_layers(net)
    assert list(found) == ["conv1", "conv2", "conv3", "fc1", "fc2"]
    assert found["conv3"].inputs == 4
    found, left_out = find_hidden_layers(build_resnet18(3, nn.BatchNorm2d, width=2))
    assert list(found) == [f"layer{stage}.{block}.conv1" for stage in range(1, 5) for block in range(2)]
    assert found["layer1.0.conv1"].norms
    names(left_out["conv1"], "add")
    pooled = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))  # acts on the last axis of the image
    names(find_hidden_layers(pooled)[1]["0"], 1, "axis")


def test_layers_with_tied_weights_are_left_out():
    net = nn.Sequential(
        nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 1)
    )
    net[4].weight = net[0].weight
    found, left_out = find_hidden_layers(net)
    assert not found
    names(left_out["2"], net[4])


def test_activations_of_the_wrong_shape_are_rejected():
    flat, conv = HiddenLayer(nn.Linear(2, 3), nn.Linear(3, 1)), HiddenLayer(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 1, 1))
    with refusal("activations", (5, 6), 3, error=ValueError):
        flat.activity(torch.zeros(5, 6))
    with refusal("activations", (5, 3, 4, 4), 2, error=ValueError):
        conv.activity(torch.zeros(5, 3, 4, 4))
    flattened = HiddenLayer(nn.Conv2d(1, 2, 1), nn.Linear(2 * 4, 1))
    for shape in ((5, 2, 3, 3), (5, 4, 2, 1), (5, 4)):
        with refusal("activations", shape if len(shape) == 2 else "activations", 8, error=ValueError):
            flattened.activity(torch.zeros(shape))
    statistics = UnitStatistics(flat, 0.9, "contribution", 1)
    with refusal("activations", (5, 6), 3, error=ValueError):
        statistics.update(torch.zeros(5, 6))
    flat.outgoing[0].weight.data = torch.zeros(1, 2)
    with refusal("weights", 3, error=ValueError):
        statistics.update(torch.zeros(5, 3))


class Net(nn.Module):
    """Network of named modules whose forward pass is a given function of the network and the input."""

    def __init__(self, forward, **modules):
        super().__init__()
        self.run = forward
        for name, module in modules.items():
            setattr(self, name, module)

    def forward(self, x):
        return self.run(self, x)


def conv(n=8):
    return nn.Conv2d(3, n, 3, padding=1)


def fc(inputs, outputs):
    return nn.Linear(inputs, outputs)


def twice(net, x):
    h = F.relu(net.a(x))
    return net.b(h) + h.mT.sum()


def gated(h):
    return F.relu(h) * torch.sigmoid(h)


def same_shape(h):
    return h.view(h.size(0), -1)


NOT_SEPARABLE = {
    "spatial dimensions flattened alone": (lambda n, x: n.b(F.relu(n.a(x)).flatten(2)), {"a": conv(), "b": fc(64, 5)}),
    "flattened with the batch": (lambda n, x: n.b(F.relu(n.a(x)).flatten()), {"a": conv(), "b": fc(64, 5)}),
    "mean over channels": (lambda n, x: n.b(F.relu(n.a(x)).mean(-3)), {"a": conv(), "b": fc(8, 5)}),
    "mean over units": (lambda n, x: n.b(n.a(x).mean(-1)), {"a": fc(6, 8), "b": fc(8, 5)}),
    "pooled units": (lambda n, x: n.b(F.max_pool1d(n.a(x), 1)), {"a": fc(6, 8), "b": fc(8, 5)}),
    "pooled by a module": (lambda n, x: n.b(n.p(n.a(x))), {"a": fc(6, 8), "p": nn.MaxPool1d(3, 1, 1), "b": fc(8, 5)}),
    "also used transposed": (twice, {"a": fc(6, 8), "b": fc(8, 5)}),
    "weight also used directly": (lambda n, x: (n.b(n.a(x)), F.linear(x, n.a.weight)), {"a": fc(6, 8), "b": fc(8, 5)}),
    "gated by themselves": (lambda n, x: n.b(gated(n.a(x))), {"a": fc(6, 8), "b": fc(8, 5)}),
    "never used": (lambda n, x: (n.a(x), n.b(x))[1], {"a": fc(6, 8), "b": fc(6, 5)}),
    "normalisation used twice": (
        lambda n, x: n.c(n.n(n.b(F.relu(n.n(n.a(x)))))),
        {"a": fc(6, 8), "n": nn.LayerNorm(8), "b": fc(8, 8), "c": fc(8, 2)},
    ),
}


@pytest.mark.parametrize("why", NOT_SEPARABLE)
def test_units_that_are_not_separable_are_left_out(why):
    forward, modules = NOT_SEPARABLE[why]
    found, left_out = find_hidden_layers(Net(forward, **modules))
    assert not found
    assert left_out["a"]


def test_units_whose_shape_is_used_are_found():
    net = Net(lambda n, x: n.b(same_shape(F.relu(n.a(x)))), a=fc(6, 8), b=fc(8, 5))
    assert list(find_hidden_layers(net)[0]) == ["a"]


def test_tied_embeddings_frozen_layers_and_unsupported_norms_are_left_out():
    tied = Net(
        lambda n, x: n.out(F.relu(n.fc(n.emb(x)))),
        emb=nn.Embedding(50, 16),
        fc=nn.Linear(16, 16),
        out=nn.Linear(16, 50),
    )
    tied.out.weight = tied.emb.weight
    names(find_hidden_layers(tied)[1]["fc"], tied.out)
    frozen = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, 1))
    frozen[0].requires_grad_(False)
    found, left_out = find_hidden_layers(frozen)
    assert list(found) == ["2"]
    names(left_out["0"], "frozen")
    for norm in (nn.LayerNorm((4, 6)), nn.BatchNorm1d(12), nn.BatchNorm1d(12, affine=False)):
        net = nn.Sequential(nn.Linear(4, 6), norm, nn.ReLU(), nn.Linear(6, 1))
        names(find_hidden_layers(net)[1]["0"], norm, net[0])
    whole_map = nn.Sequential(conv(), nn.LayerNorm((8, 5, 5)), nn.ReLU(), nn.Conv2d(8, 2, 3))
    assert list(find_hidden_layers(whole_map)[0]) == ["0"]


def test_tracing_uses_the_training_pass_and_restores_the_modes():
    def forward(net, x):
        h = F.relu(net.a(x))
        return (net.b(h), net.aux(h)) if net.training else net.b(h)

    net = Net(forward, a=nn.Linear(6, 8), b=nn.Linear(8, 3), aux=nn.Linear(8, 2)).eval()
    net.b.train()
    found, _ = find_hidden_layers(net)
    assert found["a"].outgoing == [net.b, net.aux]
    assert [net.training, net.a.training, net.b.training] == [False, False, True]


def test_renewing_a_pruned_layer_is_rejected():
    net = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    (layer,) = hidden_layers(net)
    prune.l1_unstructured(net[2], "weight", 0.1)
    with refusal(net[2], "pruned", error=ValueError):
        layer.renew(torch.tensor([1]), lambda n: torch.zeros(n, 4))
