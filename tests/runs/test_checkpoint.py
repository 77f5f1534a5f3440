"""The checkpoint format: supported types are restored, all others are refused."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from lop.runs import checkpoint

ORIGIN = {"problem": "toy"}
STATE = {
    "none": None,
    "numbers": [True, 1, -(2**80), 0.1, math.inf, np.float64(1 / 3)],
    "tuple": (1, ("two", [3.0])),
    "bytes": b"\x00\xff",
    "nested": {0: {"a": 1}, "0": {}, (1, "b"): None},
    "arrays": [np.arange(6, dtype=np.int16).reshape(2, 3)[:, ::-1], np.zeros((0, 3)), np.array(2.5)],
}
TENSORS = [
    torch.arange(6.0).reshape(2, 3).t(),
    torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    torch.tensor(7, dtype=torch.uint8),
    torch.nn.Parameter(torch.ones(2)),
    torch.zeros(0, 2, dtype=torch.bool),
]


def returned(state, path):
    checkpoint.save(path, ORIGIN, state)
    return checkpoint.load(path, ORIGIN)


def test_plain_values_and_arrays_are_restored(tmp_path):
    found = returned(STATE, tmp_path / "checkpoint.pt")
    arrays, expected = found.pop("arrays"), STATE["arrays"]
    assert found == {key: value for key, value in STATE.items() if key != "arrays"}
    assert type(found["tuple"]) is tuple
    for one, other in zip(arrays, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_array_equal(one, other)
        one[...] = 0  # is writable


def test_tensors_are_restored(tmp_path):
    for one, other in zip(returned(TENSORS, tmp_path / "checkpoint.pt"), TENSORS, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
        assert not one.requires_grad


plain = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
keys = st.text() | st.integers()
states = st.recursive(
    plain, lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner), max_leaves=20
)


@given(states)
def test_any_state_is_restored(tmp_path_factory, state):
    assert returned({"state": state}, tmp_path_factory.getbasetemp() / "any.pt") == {"state": state}


@pytest.mark.parametrize(
    "value", [{1, 2}, np.int64(1), np.array([None]), object()], ids=lambda value: type(value).__name__
)
def test_other_types_are_refused_and_the_last_checkpoint_is_kept(tmp_path, value):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, ORIGIN, {"good": 1})
    with pytest.raises(TypeError, match=type(value).__name__):
        checkpoint.save(path, ORIGIN, {"bad": [value]})
    assert checkpoint.load(path, ORIGIN) == {"good": 1}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_torch_free_run_does_not_import_torch(tmp_path):
    """It flushes denormal numbers to zero all the same."""
    program = f"""
import sys
import numpy as np
from pathlib import Path
from lop.common.paths import ROOT
from lop.runs import checkpoint
from lop.runs.command_line import main
from lop.slowly_changing_regression import PROBLEM
from lop.slowly_changing_regression.run_regression import train

def checked(run):
    tiny = np.float32(1e-38)
    assert tiny * np.float32(1e-3) == 0
    train(run)

arguments = ["-c", str(PROBLEM.cfg_path("flip_one/relu")), "--setting", "step_size=0.01"]
main(PROBLEM, "", checked, [*arguments, "--num_data_points", "10000", "--results", {str(tmp_path)!r}])
assert np.float32(1e-38) * np.float32(1e-3) > 0
assert not {{"torch", "pandas", "snakemake", "matplotlib"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True)
    assert list(tmp_path.glob("*/*/*/seed-0/metrics-10000.parquet"))
