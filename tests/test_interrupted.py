"""The comparison of states on which the tests of exact resumption rely."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from interrupted import same

NAN = float("nan")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"a": 1, "b": [NAN, (None, b"x")]}, {"b": [float("nan"), (None, b"x")], "a": 1}),
        (np.array([NAN, -0.0]), np.array([NAN, -0.0])),
        (np.arange(6).reshape(2, 3).T, np.arange(6).reshape(2, 3).T.copy()),
        (torch.arange(6.0).reshape(2, 3).t(), torch.arange(6.0).reshape(2, 3).t().contiguous()),
        (torch.tensor([NAN, 1.5], dtype=torch.bfloat16), torch.tensor([NAN, 1.5], dtype=torch.bfloat16)),
        (torch.zeros(0, 2), torch.zeros(0, 2)),
        (torch.tensor(True), torch.tensor(True)),
    ],
)
def test_identical_states_are_the_same(a, b):
    assert same(a, b)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (1, True),
        (1, 1.0),
        (0.0, -0.0),
        (0.0, NAN),
        (1.0, np.float64(1)),
        ([1], (1,)),
        ([1], [1, 2]),
        ({}, OrderedDict()),
        ({1: 0}, {True: 0}),
        ({"a": 1}, {"b": 1}),
        (None, torch.zeros(1)),
        (np.zeros(2), torch.zeros(2)),
        (np.zeros(2), -np.zeros(2)),
        (np.zeros(2), np.zeros((2, 1))),
        (np.zeros(2, np.int32), np.zeros(2, np.float32)),
        (torch.zeros(2), -torch.zeros(2)),
        (torch.zeros(2), torch.zeros(1)),
        (torch.zeros(0, 2), torch.zeros(0, 3)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.float16)),
        (torch.tensor([NAN, 0.0]), torch.tensor([NAN, -0.0])),
    ],
)
def test_different_states_are_not_the_same(a, b):
    assert not same(a, b)
    assert not same(b, a)
