import pytest
import torch
from conftest import golden

from lop.plasticity import dormant_share, singular_values, stable_rank, weight_magnitude

ARRAYS, SETTINGS = golden("generate_and_test")


def test_by_hand():
    assert stable_rank(torch.eye(4)) == 4
    assert stable_rank(torch.diag(torch.tensor([98.0, 1.5, 0.5]))) == 2  # 98% of the sum, then 99.5%
    assert stable_rank(torch.zeros(5, 3)) == 0
    assert stable_rank(torch.ones(5, 3)) == 1
    assert weight_magnitude(torch.tensor([[1.0, -3.0]])) == 2
    h = torch.zeros(200, 4)
    h[:2, 0] = 1  # active in 1% of the samples: dormant
    h[:3, 1] = 1  # in 1.5%: not
    h[:, 2] = -1  # never above zero: dormant
    assert dormant_share(h) == pytest.approx(3 / 4)


@pytest.mark.parametrize("j", [0, 1, 2])
def test_stable_rank_is_the_published_one(j):
    assert stable_rank(torch.tensor(ARRAYS[f"rank/{j}/matrix"])) == SETTINGS[f"rank/{j}"]["abs_approximate_rank"]


@pytest.mark.parametrize("shape", [(50, 20), (20, 50), (30, 30)])
def test_singular_values_are_those_of_an_svd(shape):
    torch.manual_seed(0)
    h = torch.randn(shape)
    h[:, 3] = 0
    expected = torch.linalg.svdvals(h.double())
    found = singular_values(h)
    torch.testing.assert_close(found[: min(len(found), len(expected))], expected[: len(found)], rtol=1e-6, atol=1e-6)
