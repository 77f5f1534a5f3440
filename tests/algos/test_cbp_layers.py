"""Layers that apply continual backpropagation to a network."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from recordings import golden, images
from refusals import refusal
from torch import nn
from torch.nn import functional as F

from lop.algos.cbp_conv import CBPConv
from lop.algos.cbp_linear import CBPLinear
from lop.nets.conv_net2 import ConvNet2

ARRAYS, SETTINGS = golden("recorded")


class Net(nn.Module):
    def __init__(self, **settings):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.fc1, self.fc2 = nn.Linear(4 * 9, 6), nn.Linear(6, 3)
        self.cbp1 = CBPConv(self.conv, self.fc1, bn_layer=self.norm, **settings)
        self.cbp2 = CBPLinear(self.fc1, self.fc2, **settings)

    def forward(self, x):
        x = self.cbp1(F.relu(self.norm(self.conv(x))).flatten(1))
        return self.fc2(self.cbp2(F.relu(self.fc1(x))))


def train(net, steps, seed=1):
    torch.manual_seed(seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05)
    losses = []
    for _ in range(steps):
        loss = F.cross_entropy(net(torch.randn(8, 1, 5, 5)), torch.randint(0, 3, (8,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_training_matches_published_code():
    s = SETTINGS["conv_net2"]
    torch.manual_seed(0)
    net = ConvNet2(s["classes"], s["replacement_rate"], maturity_threshold=s["maturity_threshold"])
    optimizer = torch.optim.SGD(net.parameters(), s["lr"], momentum=s["momentum"])
    torch.manual_seed(1)
    losses = []
    for x, y in images(20, s["batch"], s["classes"]):
        loss = F.cross_entropy(net.predict(x)[0], y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(losses, ARRAYS["conv_net2/loss"], rtol=1e-4)
    for i in range(1, 6):
        np.testing.assert_array_equal(getattr(net, f"cbp{i}").ages, ARRAYS[f"conv_net2/ages_{i}"])


def test_units_are_replaced_only_by_a_backward_pass_in_training_mode():
    net = Net(replacement_rate=0.25, maturity_threshold=0)
    x = torch.randn(8, 1, 5, 5)
    net.eval()
    net(x).sum().backward()
    with torch.no_grad():
        net.train()(x)
    assert net.cbp1.ages.tolist() == [0] * 4
    before = net.fc1.weight.clone()
    net(x).sum().backward()
    assert sorted(net.cbp1.ages.tolist()) == [0, 1, 1, 1]
    (unit,) = torch.where(net.cbp1.ages == 0)[0]
    silent = net.fc1.weight.view(6, 4, 9).abs().sum((0, 2)) == 0
    assert silent.nonzero().flatten().tolist() == [unit]
    assert net.norm.running_var[unit] == 1
    (renewed,) = torch.where((net.fc1.weight != before).view(6, 4, 9)[:, (unit + 1) % 4].any(1))[0]
    assert net.cbp2.ages[renewed] == 0


def test_layers_do_not_change_gradients():
    """The layers pass gradients through unchanged; with a replacement rate of 0, they do not count ages either."""
    plain, layered = Net(replacement_rate=0), Net(replacement_rate=1e-9, maturity_threshold=0)
    assert train(plain, 5) == train(layered, 5)
    assert plain.cbp1.ages.tolist() == [0] * 4
    assert layered.cbp1.ages.tolist() == [5] * 4


class FlattenedLater(Net):
    def forward(self, x):
        x = self.cbp1(F.relu(self.norm(self.conv(x)))).flatten(1)
        return self.fc2(self.cbp2(F.relu(self.fc1(x))))


@pytest.mark.parametrize("decay_rate", [0, 0.9])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_layer_before_flattening_learns_like_one_after_it(decay_rate, layout):
    settings = {"replacement_rate": 0.1, "maturity_threshold": 2, "decay_rate": decay_rate}
    after, before = (make(**settings).to(memory_format=layout) for make in (Net, FlattenedLater))
    expected = train(after, 20)
    np.testing.assert_allclose(train(before, 20), expected, rtol=1e-5)
    assert before.cbp1.ages.tolist() == after.cbp1.ages.tolist()
    assert before.cbp1.ages.min() < 20


def test_number_of_pixels_per_channel_may_be_given():
    net = Net(replacement_rate=0.1, maturity_threshold=2)
    cbp = CBPConv(net.conv, net.fc1, num_last_filter_outputs=9)
    assert cbp.gnt.layers[0].inputs == net.cbp1.gnt.layers[0].inputs == 9


def test_saved_and_copied_networks_continue_exactly(tmp_path):
    settings = {"replacement_rate": 0.1, "maturity_threshold": 3, "decay_rate": 0.9}
    whole = Net(**settings)
    train(whole, 20)
    losses = train(whole, 20, seed=2)
    part = Net(**settings)
    train(part, 20)
    torch.save(part.state_dict(), tmp_path / "net.pt")
    resumed = Net(**settings)
    resumed.load_state_dict(torch.load(tmp_path / "net.pt", weights_only=True))
    copied = deepcopy(part)
    assert train(resumed, 20, seed=2) == losses
    assert train(copied, 20, seed=2) == losses
    assert part.cbp2.ages.max() < resumed.cbp2.ages.max()  # copies have their own ages
    torch.testing.assert_close(resumed.cbp1.util, whole.cbp1.util)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_network_learns_like_an_uncompiled_one(backend):
    net, compiled = (Net(replacement_rate=0.1, maturity_threshold=2) for _ in range(2))
    expected = train(net, 12)
    torch.compiler.reset()
    assert train(torch.compile(compiled, backend=backend), 12) == pytest.approx(expected, rel=1e-5)
    assert compiled.cbp2.ages.tolist() == net.cbp2.ages.tolist()


def test_invalid_layers_and_settings_are_rejected():
    conv, fc = nn.Conv2d(1, 4, 3), nn.Linear(5, 2)
    with refusal("in_layer", "Conv2d", "Linear", error=ValueError):
        CBPLinear(conv, fc)
    with refusal("in_layer", "Linear", error=ValueError):
        CBPConv(fc, conv)
    with refusal(fc, conv, error=ValueError):
        CBPConv(conv, fc)
    with refusal("replacement_rate", -1, error=ValueError):
        CBPLinear(nn.Linear(2, 3), nn.Linear(3, 1), replacement_rate=-1)
