"""The stream of examples: its targets, its changes and its seeds."""

import numpy as np
import pytest
import torch

from lop.nets.fix_ltu_net import FixLTUNet
from lop.slowly_changing_regression.problem import Stream, TargetNetwork


def stream(seed=0, num_inputs=20, flip_after=1000, num_flipping_bits=15, flip_one=True):
    return Stream(np.random.SeedSequence(seed), num_inputs, flip_after, num_flipping_bits, flip_one, 100, 0.7)


def dense(stretch, num_inputs=20):
    """Return inputs (n, num_inputs) and targets (n,) in the order of the stream."""
    (start, indices, values, targets), order = stretch
    x = np.zeros((len(targets), num_inputs), np.float32)
    for e in range(len(targets)):
        x[e, indices[start[e] : start[e + 1]]] = values[start[e] : start[e + 1]]
    return x[order], targets[order]


def test_target_is_the_threshold_network_of_the_same_seed():
    torch.manual_seed(11)
    net = FixLTUNet(20, 100, 0.7)
    x = np.random.default_rng(0).integers(0, 2, (500, 20)).astype(np.float32)
    np.testing.assert_array_equal(TargetNetwork(11, 20, 100, 0.7)(x), net(torch.tensor(x))[:, 0])


@pytest.mark.parametrize("num_flipping_bits", [15, 4, 0])  # few fast bits come from a table, many are drawn per example
def test_slow_bits_change_between_stretches_and_fast_bits_within(num_flipping_bits):
    source = stream(num_flipping_bits=num_flipping_bits)
    slow = []
    for _ in range(30):
        x, y = dense(source.stretch())
        assert set(np.unique(x)) == {0.0, 1.0}
        assert (x[:, :num_flipping_bits] == x[0, :num_flipping_bits]).all()
        assert abs(x[:, num_flipping_bits:].mean() - 0.5) < 0.03
        assert len(np.unique(x[:, num_flipping_bits:], axis=0)) > 25
        np.testing.assert_array_equal(y, source.target(x))
        slow.append(x[0, :num_flipping_bits])
    flips = np.abs(np.diff(slow, axis=0)).sum(1)
    assert (flips == (1 if num_flipping_bits else 0)).all()


def test_without_flip_one_all_slow_bits_are_redrawn():
    source = stream(flip_one=False)
    slow = np.array([dense(source.stretch())[0][0, :15] for _ in range(200)])
    assert abs(np.abs(np.diff(slow, axis=0)).mean() - 0.5) < 0.05


def test_stream_is_determined_by_its_seed_and_resumes_from_a_saved_state():
    first, again, other = stream(3), stream(3), stream(4)
    for _ in range(5):
        x, y = dense(first.stretch())
        np.testing.assert_array_equal(x, dense(again.stretch())[0])
        assert not np.array_equal(x, dense(other.stretch())[0])
    resumed = stream(3)
    resumed.load_state_dict(first.state_dict())
    for _ in range(3):
        x, y = dense(resumed.stretch())
        expected_x, expected_y = dense(first.stretch())
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)
