"""Torch's random numbers, reproduced without torch."""

import numpy as np
import pytest
import torch

from lop.engines import generator
from lop.nets.ffnn import FFNN


@pytest.mark.parametrize("seed", [0, 5, 2**31 - 2])
def test_uniform_numbers_and_signs_match_torch(seed):
    torch.manual_seed(seed)
    state = generator.seeded(seed)
    found = np.empty(3000, np.float32)
    generator.uniform(state, found, 0.3)
    np.testing.assert_array_equal(found, torch.empty(3000).uniform_(-0.3, 0.3))
    assert generator.unit(state) == torch.rand(1).item()
    found = np.empty(50, np.float32)
    generator.signs(state, found)
    np.testing.assert_array_equal(found, torch.randint(0, 2, (50,), dtype=torch.float) * 2 - 1)


def test_initial_weights_match_the_torch_network():
    torch.manual_seed(7)
    net = FFNN(20, 5)
    state = generator.seeded(7)
    generator.built_linear(state, 20, 5)
    generator.built_linear(state, 5, 1)
    np.testing.assert_array_equal(generator.kaiming(state, 20, 5, 2**0.5), net.layers[0].weight.detach())
    np.testing.assert_array_equal(generator.kaiming(state, 5, 1, 1.0), net.layers[2].weight.detach())


def test_table_of_normal_numbers_has_normal_moments_and_tails():
    table = generator.normal_table().astype(float)
    assert table.mean() == pytest.approx(0, abs=1e-6)
    assert table.std() == pytest.approx(1, abs=1e-6)
    assert (table**4).mean() == pytest.approx(3, rel=2e-3)
    assert np.mean(abs(table) > 1.959964) == pytest.approx(0.05, abs=1e-4)


def test_normal_numbers_match_torch():
    torch.manual_seed(3)
    state, spare = generator.seeded(3), np.zeros(2)
    for n in (8, 3, 15, 1, 1):
        expected = torch.randn(n)
        np.testing.assert_allclose([generator.normal(state, spare) for _ in range(n)], expected, rtol=1e-6)
    assert generator.unit(state) == torch.rand(1).item()


def test_linear_layer_matches_torch():
    torch.manual_seed(4)
    layer = torch.nn.Linear(5, 3)
    weights, biases = generator.built_linear(generator.seeded(4), 5, 3)
    np.testing.assert_array_equal(weights, layer.weight.detach())
    np.testing.assert_array_equal(biases, layer.bias.detach())
