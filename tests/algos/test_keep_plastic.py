"""KeepPlastic: continual backpropagation for networks of any kind."""

from copy import deepcopy

import pytest
import torch
from refusals import refusal
from torch import nn
from torch.nn import functional as F

from lop.algos.adam import AdamGnT
from lop.algos.keep_plastic import KeepPlastic

DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available()


class ResidualBlock(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, 2 * channels, 3, padding=1), nn.BatchNorm2d(2 * channels)
        self.conv2, self.bn2 = nn.Conv2d(2 * channels, channels, 3, padding=1), nn.BatchNorm2d(channels)

    def forward(self, x):
        return F.relu(x + self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))


def mlp():
    return nn.Sequential(nn.Flatten(), nn.Linear(108, 12), nn.ReLU(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3))


def cnn():
    return nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 6, 1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(24, 10), nn.BatchNorm1d(10), nn.GELU(), nn.Dropout(0.1), nn.Linear(10, 3)),
    )


def residual():
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    return nn.Sequential(nn.Conv2d(3, 4, 3), ResidualBlock(4), ResidualBlock(4), *head)


NETWORKS = {mlp: ["1", "3"], cnn: ["0", "3", "7"], residual: ["1.conv1", "2.conv1"]}


def build(make, optimizer="sgd", device="cpu", **settings):
    torch.manual_seed(0)
    net = make().to(device)
    optimizers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "adam_gnt": lambda p: AdamGnT(p, lr=0.01),
    }
    opt = optimizers[optimizer](net.parameters())
    return net, opt, KeepPlastic(net, opt, **{"replacement_rate": 0.05, "maturity_threshold": 4} | settings)


def train(net, opt, plastic, steps, seed=1, run=None):
    torch.manual_seed(seed)
    device = next(net.parameters()).device
    losses, replaced = [], []
    for _ in range(steps):
        x, y = torch.randn(8, 3, 6, 6).to(device), torch.randint(0, 3, (8,)).to(device)
        loss = F.cross_entropy((run or net)(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        replaced.append({name: units.tolist() for name, units in plastic.step().items()})
        losses.append(loss.item())
    return losses, replaced


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adam_gnt"])
@pytest.mark.parametrize("make", NETWORKS)
def test_hidden_layers_are_found_and_the_replacement_rate_is_kept(make, optimizer, device):
    net, opt, plastic = build(make, optimizer, device)
    assert plastic.names == NETWORKS[make]
    losses, replaced = train(net, opt, plastic, 40)
    assert all(torch.isfinite(torch.tensor(losses)))
    for name, layer in zip(plastic.names, plastic.layers, strict=True):
        n = sum(len(step[name]) for step in replaced)
        assert 0 < n <= 0.05 * layer.units * 36
        assert not any(step[name] for step in replaced[:4])


@pytest.mark.parametrize("make", NETWORKS)
def test_replaced_units_have_no_effect_and_no_optimizer_state(make):
    net, opt, plastic = build(make, replacement_rate=0.3, maturity_threshold=0)
    _, (replaced,) = train(net, opt, plastic, 1)
    x = torch.randn(5, 3, 6, 6)
    net.eval()
    with torch.no_grad():
        out = net(x)
        for layer, units in zip(plastic.layers, replaced.values(), strict=True):
            assert opt.state[layer.incoming.weight]["momentum_buffer"][units].abs().sum() == 0
            assert opt.state[layer.incoming.weight]["momentum_buffer"].abs().sum() > 0
            layer.incoming.weight[units] *= -7
        torch.testing.assert_close(net(x), out)


@pytest.mark.parametrize("make", NETWORKS)
def test_resumed_training_equals_uninterrupted_training(make, tmp_path):
    whole = build(make)
    train(*whole, 20)
    expected = train(*whole, 20, seed=2)
    first = build(make)
    train(*first, 20)
    torch.save([part.state_dict() for part in first], tmp_path / "all.pt")
    resumed = build(make)
    for part, state in zip(resumed, torch.load(tmp_path / "all.pt", weights_only=True), strict=True):
        part.load_state_dict(state)
    assert train(*resumed, 20, seed=2) == expected


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_networks_are_supported_if_wrapped_before_the_first_forward_pass(backend):
    expected = train(*build(mlp), 12)
    torch.compiler.reset()
    net, opt, plastic = build(mlp)
    losses, replaced = train(net, opt, plastic, 12, run=torch.compile(net, backend=backend))
    assert losses == pytest.approx(expected[0], rel=1e-5)
    assert replaced == expected[1]
    torch.compiler.reset()
    net = mlp()
    compiled = torch.compile(net, backend=backend)
    compiled(torch.randn(2, 3, 6, 6))
    late = KeepPlastic(compiled)  # hooks on an already compiled network are not called
    compiled(torch.randn(2, 3, 6, 6))
    with refusal("step()", "KeepPlastic", error=RuntimeError):
        late.step()


class DataDependent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        return self.fc2(h) if h.sum() > 1 else self.fc2(-h)


def test_layers_can_be_given_where_tracing_fails():
    net = DataDependent()
    with refusal("torch.fx", "DataDependent.forward", "layers", error=ValueError):
        KeepPlastic(net)
    plastic = KeepPlastic(net, layers=[(net.fc1, net.fc2)], replacement_rate=0.5, maturity_threshold=0)
    assert plastic.names == ["fc1"]
    net(torch.randn(6, 3))
    assert len(plastic.step()["fc1"]) == 2
    with refusal("step()", "forward", error=RuntimeError):
        plastic.step()
    plastic.detach()
    assert not net.fc2._forward_pre_hooks


def test_networks_without_hidden_units_are_rejected():
    with refusal("net", 0, "outputs", error=ValueError):
        KeepPlastic(nn.Sequential(nn.Linear(3, 2)))


def test_new_weights_are_drawn_from_the_given_distribution():
    net = nn.Sequential(nn.Linear(50, 40), nn.ReLU(), nn.Linear(40, 1))
    constant = KeepPlastic(net, replacement_rate=1, maturity_threshold=0, init=lambda w: nn.init.constant_(w, 0.5))
    net(torch.randn(2, 50))
    constant.step()
    assert (net[0].weight == 0.5).all()
    constant.detach()
    kaiming = KeepPlastic(net, replacement_rate=1, maturity_threshold=0, init="kaiming", activation="tanh")
    net(torch.randn(2, 50))
    kaiming.step()
    bound = 5 / 3 * (3 / 50) ** 0.5
    assert 0.98 * bound < net[0].weight.abs().max() <= bound


def test_copies_of_the_network_are_not_observed():
    net, _, plastic = build(mlp)
    target = deepcopy(net)
    x = torch.randn(4, 3, 6, 6)
    net(x)
    target(100 * x)
    plastic.step()
    alone, _, expected = build(mlp)
    alone(x)
    expected.step()
    torch.testing.assert_close(plastic.util, expected.util)


def test_initialisers_receive_the_whole_weight_matrix():
    """The fan-out counts all units of the layer, not only the replaced ones."""
    net = nn.Sequential(nn.Linear(20, 2000), nn.ReLU(), nn.Linear(2000, 1))
    plastic = KeepPlastic(net, replacement_rate=1 / 2000, maturity_threshold=0, init=nn.init.xavier_uniform_)
    net(torch.randn(2, 20))
    (unit,) = plastic.step()["0"]
    assert net[0].weight[unit].abs().max() <= (6 / 2020) ** 0.5
