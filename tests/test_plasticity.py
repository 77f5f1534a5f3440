"""Measures of plasticity."""

import numpy as np
import pytest
import torch
from recordings import golden
from refusals import refusal
from torch import nn

from lop.measures import (
    approximate_rank,
    dead_fraction,
    dormant_fraction,
    effective_rank,
    rank,
    ranks,
    singular_values,
    stable_rank,
    weight_magnitude,
)
from lop.nets.conv_net import ConvNet
from lop.nets.torchvision_modified_resnet import build_resnet18
from lop.plasticity import measure, record_activations

ARRAYS, SETTINGS = golden("learners")


def test_ranks_match_hand_computation():
    assert rank(torch.eye(4)) == approximate_rank(torch.eye(4)) == stable_rank(torch.eye(4)) == 4
    assert effective_rank(torch.eye(4)) == pytest.approx(4)
    uneven = torch.diag(torch.tensor([98.0, 1.5, 0.5]))
    assert stable_rank(uneven) == 2  # 98% of the sum, then 99.5%
    assert approximate_rank(uneven) == 1  # 9604 of 9606.5
    halves = torch.diag(torch.tensor([2.0, 1.0, 1.0]))  # p = 1/2, 1/4, 1/4: entropy 1.5 ln 2
    assert effective_rank(halves) == pytest.approx(2**1.5)
    ones = torch.ones(5, 3)
    assert rank(ones) == stable_rank(ones) == approximate_rank(ones) == 1
    assert effective_rank(ones) == pytest.approx(1, abs=1e-5)
    zeros = torch.zeros(5, 3)
    assert rank(zeros) == effective_rank(zeros) == stable_rank(zeros) == approximate_rank(zeros) == 0


def test_rank_ignores_singular_values_below_its_tolerance():
    torch.manual_seed(0)
    h = torch.randn(100, 30) @ torch.randn(30, 80)
    assert int(torch.count_nonzero(torch.linalg.svdvals(h))) > 30  # without a tolerance
    assert rank(h) == 30
    assert rank(torch.diag(torch.tensor([1.0, 0.1, 0.01])), tolerance=0.05) == 2


def test_fractions_and_magnitudes_match_hand_computation():
    h = torch.zeros(200, 4)
    h[:2, 0] = 1  # active in 1% of the samples: dormant
    h[:3, 1] = 1  # active in 1.5%: not dormant
    h[:, 2] = -1  # never above zero: dormant
    assert dormant_fraction(h) == pytest.approx(3 / 4)
    assert dead_fraction(h) == pytest.approx(1 / 4)
    assert weight_magnitude(torch.tensor([[1.0, -3.0]])) == 2
    assert weight_magnitude([torch.tensor([[1.0, -3.0]]), torch.tensor([5.0])]) == 3


@pytest.mark.parametrize("j", [0, 1, 2])
def test_ranks_match_published_code(j):
    h, expected = torch.tensor(ARRAYS[f"rank/{j}/matrix"]), SETTINGS[f"rank/{j}"]
    assert rank(h) == (7 if j == 1 else expected["rank"])  # the published count has no tolerance: 40 for j = 1
    assert effective_rank(h) == pytest.approx(expected["effective_rank"], rel=1e-5)
    assert approximate_rank(h) == expected["approximate_rank"]
    assert stable_rank(h) == expected["abs_approximate_rank"]


@pytest.mark.parametrize("shape", [(50, 20), (20, 50), (30, 30)])
def test_singular_values_match_svd(shape):
    torch.manual_seed(0)
    h = torch.randn(shape)
    h[:, 3] = 0
    expected = torch.linalg.svdvals(torch.cat((h[:, :3], h[:, 4:]), 1).double())
    np.testing.assert_allclose(singular_values(h), expected, rtol=1e-6, atol=1e-6)


def test_hidden_layers_of_a_network_are_measured():
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 1))
    with torch.no_grad():
        net[0].weight[0], net[0].bias[0] = 0, -1  # a dead unit
    x = torch.randn(64, 3)
    first, second = measure(net, x)
    hidden = torch.relu(net[0](x))
    assert (first.name, first.units, first.dead) == ("1", 4, 0.25)
    assert first.effective_rank == pytest.approx(effective_rank(hidden))
    assert (second.name, second.units, second.dead) == ("4", 5, 0)
    assert second.stable_rank == stable_rank(torch.tanh(net[3](hidden)))  # dropout is off while measuring
    assert net.training
    assert not net[1]._forward_hooks


def test_networks_without_activation_modules_are_measured():
    """The inputs of layers with weights are measured; every position of a feature map is a sample."""
    names = [layer.name for layer in measure(ConvNet(), torch.randn(20, 3, 32, 32))]
    assert names == ["conv2", "conv3", "fc1", "fc2", "fc3"]
    first = measure(build_resnet18(3, nn.BatchNorm2d, width=2), torch.randn(4, 3, 32, 32))[0]
    assert (first.name, first.units) == ("layer1.0.conv1", 2)


def test_shared_activation_is_recorded_each_time_and_unknown_names_are_rejected():
    relu = nn.ReLU()
    net = nn.Sequential(nn.Linear(2, 3), relu, nn.Linear(3, 4), relu)
    with record_activations(net) as found:
        net(torch.randn(5, 2))
    assert [(name, h.shape[1]) for name, h in found] == [("1", 3), ("1", 4)]
    with refusal("modules", 7, 0, 1, 2, error=ValueError), record_activations(net, ["7"]):
        pass


def test_sequences_feature_maps_and_heads_defined_first_are_measured():
    net = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
    assert measure(net, torch.randn(9, 5, 6))[0].units == 16
    maps = nn.Sequential(nn.Conv1d(6, 7, 3), nn.ReLU(), nn.Conv1d(7, 3, 1))
    assert measure(maps, torch.randn(9, 6, 5))[0].units == 7

    class HeadFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.head, self.body = nn.Linear(16, 3), nn.Linear(6, 16)

        def forward(self, x):
            return self.head(torch.relu(self.body(x)))

    assert [(layer.name, layer.units) for layer in measure(HeadFirst(), torch.randn(9, 6))] == [("head", 16)]


def test_measuring_does_not_change_training_modes():
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 3))
    net[1].eval()
    measure(net, torch.randn(9, 6))
    assert [module.training for module in net] == [True, False, True, True]


def test_activations_are_measured_before_later_in_place_changes():
    class InPlace(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.act, self.head = nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3)

        def forward(self, x):
            h = self.act(self.body(x) - 1000)
            h += 1
            return self.head(h)

    assert measure(InPlace(), torch.randn(9, 6))[0].dead == 1


def test_ranks_of_dead_units_are_zero(capfd):
    dead = torch.zeros(50, 3)
    assert len(singular_values(dead)) == 0
    assert (rank(dead), effective_rank(dead), stable_rank(dead)) == (0, 0, 0)
    assert capfd.readouterr() == ("", "")  # BLAS prints messages about a matrix without columns


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_measures_of_a_diverged_network_are_nan(value):
    h = torch.ones(6, 4)
    h[2, 1] = value
    measures = [*ranks(h), rank(h), effective_rank(h), approximate_rank(h), stable_rank(h)]
    assert np.isnan([*measures, dead_fraction(h), dormant_fraction(h)]).all()
    assert np.isnan(singular_values(h)).all()
