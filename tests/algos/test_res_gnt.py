"""Generate-and-test in residual networks."""

import numpy as np
import pytest
import torch
from recordings import golden, images
from refusals import refusal
from torch import nn
from torch.nn import functional as F

from lop.algos.res_gnt import ResGnT, layers_in_order
from lop.nets.torchvision_modified_resnet import BasicBlock, ResNet, build_resnet18, kaiming_init_resnet_module

ARRAYS, SETTINGS = golden("recorded")


@pytest.mark.parametrize("case", ["res_gnt_weight", "res_gnt_contribution"])
def test_training_matches_published_code(case):
    """Compare the losses and replaced units of a ResNet-18 whose weights are drawn from the same seed."""
    s = SETTINGS[case]
    torch.manual_seed(0)
    net = build_resnet18(s["classes"], nn.BatchNorm2d)
    net.apply(kaiming_init_resnet_module)
    units = ResGnT(net, "relu", s["decay_rate"], s["replacement_rate"], s["util_type"], s["maturity_threshold"])
    opt = torch.optim.SGD(net.parameters(), s["lr"], momentum=s["momentum"], weight_decay=s["weight_decay"])
    torch.manual_seed(1)
    losses, replaced = [], []
    for t, (x, y) in enumerate(images(len(ARRAYS[f"{case}/loss"]), s["batch"], s["classes"])):
        features: list[torch.Tensor] = []
        loss = F.cross_entropy(net(x, features), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        chosen = units.gen_and_test(features)
        replaced += [(t, layer, int(unit)) for layer, indices in enumerate(chosen) for unit in indices]
    recorded = ARRAYS[f"{case}/loss"]
    np.testing.assert_allclose(losses[:3], recorded[:3], rtol=1e-5)
    np.testing.assert_allclose(losses, recorded, rtol=1e-3)  # each step multiplies rounding errors by ten or more
    np.testing.assert_array_equal(replaced, ARRAYS[f"{case}/replaced"])


def small() -> ResNet:
    torch.manual_seed(0)
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes=3, width=2)


def test_utilities_match_hand_computation():
    """The utility is the sum over steps of (1 - eta) mean|h|, without decay, times the current mean |w_out|."""
    net = small()
    units = ResGnT(net, "relu", decay_rate=0.75, util_type="contribution")
    layer = units.layers[0]
    assert layer.outgoing == [net.layer1[0].conv1]
    net.layer1[0].conv1.weight.data.zero_()
    net.layer1[0].conv1.weight.data[0, :, 0, 0] = torch.tensor([9.0, -36.0])  # of 2 x 9 weights each: means 0.5, 2
    h = torch.zeros(1, 2, 2, 2)
    h[0, 0, 0, 0], h[0, 1] = -4, 3  # mean|h| = 1 and 3
    units.statistics[0].update(h)
    units.statistics[0].update(2 * h)
    assert units.statistics[0].utility.tolist() == [0.25 * (1 + 2), 0.25 * (3 + 6)]
    assert units.statistics[0].corrected_utility().tolist() == [0.75 * 0.5, 2.25 * 2]
    units.statistics[0].forget(torch.tensor([1]))
    assert units.statistics[0].utility.tolist() == [0.75, 2.25]  # as published: the utility is kept, the age is reset
    assert units.statistics[0].ages.tolist() == [2, 0]
    weight = ResGnT(net, "relu", util_type="weight").statistics[0]
    weight.update(h)
    assert weight.corrected_utility().tolist() == [0.5, 2]
    moving = ResGnT(net, "relu", decay_rate=0.75, move_mean_to_bias=True).statistics[0]
    moving.update(h)  # mean h = -1 and 3
    moving.update(2 * h)
    assert moving.mean_activation.tolist() == [0.75 * -0.25 + 0.25 * -2, 0.75 * 0.75 + 0.25 * 6]


def test_new_units_have_reset_statistics_and_zero_outgoing_weights():
    net = small()
    units = ResGnT(net, "relu", replacement_rate=0.5, maturity_threshold=0)
    features: list[torch.Tensor] = []
    net(torch.randn(4, 3, 32, 32), features)
    assert [h.shape[1] for h in features] == [layer.units for layer in units.layers]
    chosen = units.gen_and_test(features)
    for index, (layer, unit) in enumerate(zip(units.layers, chosen, strict=True)):
        assert len(unit) == layer.units // 2
        old = torch.ones(len(layer.outgoing[0].weight), dtype=torch.bool)
        if index + 1 < len(chosen):
            old[chosen[index + 1]] = False  # new units of the next layer have random incoming weights
        assert layer.outgoing[0].weight[old][:, unit].abs().sum() == 0
        (norm,) = layer.norms
        for zero in (norm.running_mean, norm.bias, layer.incoming.bias):
            assert zero[unit].abs().sum() == 0
        assert (norm.running_var[unit] == 1).all()
    assert net.layer2[0].downsample[0].weight.abs().min() > 0
    std = torch.cat([units.draws[-1](200).flatten()]).std()
    assert std.item() == pytest.approx((2 / units.layers[-1].fan_in) ** 0.5, rel=0.01)


def test_networks_without_normalisation_and_running_averages_are_supported():
    net = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=3, width=2, norm_layer=nn.Identity)
    assert all(not layer.norms for layer in layers_in_order(net))
    with refusal("util_type", "adaptation", "weight", "contribution", error=ValueError):
        ResGnT(net, "relu", util_type="adaptation")
    units = ResGnT(
        net, "relu", util_type="adaptation", running_average=True, maturity_threshold=0, replacement_rate=0.5
    )
    assert len(units.gen_and_test(net.predict(torch.randn(2, 3, 32, 32))[1])[0]) == 1


def test_means_of_bfloat16_activations_are_computed_in_float32():
    torch.manual_seed(0)
    net = small()
    features: list[torch.Tensor] = []
    net(torch.randn(6, 3, 32, 32), features)
    coarse, fine = (ResGnT(net, "relu", util_type="contribution") for _ in range(2))
    coarse.gen_and_test([h.bfloat16() for h in features])
    fine.gen_and_test([h.bfloat16().float() for h in features])
    for found, wanted in zip(coarse.util, fine.util, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0)
