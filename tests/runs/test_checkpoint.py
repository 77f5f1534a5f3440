"""The checkpoint format: supported types are restored, all others are refused."""

import enum
import json
import math
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refusals import refusal

from lop.common.errors import InputError
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


class Pair(NamedTuple):
    first: int
    second: int


class Choice(enum.IntEnum):
    ONE = 1


@pytest.mark.parametrize(
    "value",
    [{1, 2}, np.int64(1), np.array([None]), np.ma.masked_equal([1, 2], 1), Pair(1, 2), Choice.ONE, object()],
    ids=lambda value: type(value).__name__,
)
def test_other_types_are_refused_and_the_last_checkpoint_is_kept(tmp_path, value):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, ORIGIN, {"good": 1})
    with pytest.raises(TypeError, match=type(value).__name__):
        checkpoint.save(path, ORIGIN, {"bad": [value]})
    assert checkpoint.load(path, ORIGIN) == {"good": 1}
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_flipped_bit_in_the_shape_of_an_array_is_refused(tmp_path):
    """The array exceeds the 4 KiB that NumPy reads at once, so its header is read long before the checksum."""
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, ORIGIN, {"array": np.zeros(5000)})
    content = path.read_bytes()
    assert content.count(b"(5000,)") == 1
    path.write_bytes(content.replace(b"(5000,)", b"(1000,)"))
    with refusal(path):
        checkpoint.load(path, ORIGIN)


def crafted(path, compression=zipfile.ZIP_STORED, **changes):
    """Write a checkpoint of an empty state with these changes."""
    content = {"format": checkpoint.FORMAT, "origin": ORIGIN, "state": {"dict": []}} | changes
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr(checkpoint.TREE, json.dumps(content))
    return path


def test_files_of_other_programs_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    assert checkpoint.load(crafted(path), ORIGIN) == {}
    with refusal(path):
        checkpoint.load(crafted(path, zipfile.ZIP_DEFLATED), ORIGIN)
    with refusal(path, "set"):
        checkpoint.load(crafted(path, state={"set": []}), ORIGIN)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("0.npy", b"")
    with refusal(path, checkpoint.TREE):
        checkpoint.load(path, ORIGIN)
    for origin in (None, [], "toy", {"parameters": 1}, {"images": [1]}, {"code": None}):
        with refusal(path):
            checkpoint.load(crafted(path, origin=origin), ORIGIN)
    for format in (None, "a\nb" + 1000 * "b"):
        with refusal(path, checkpoint.FORMAT):
            checkpoint.load(crafted(path, format=format), ORIGIN)


def test_an_unreadable_file_is_not_called_damaged(tmp_path, monkeypatch):
    with pytest.raises(InputError) as raised:
        checkpoint.load(tmp_path, ORIGIN)
    assert str(raised.value) == f"{tmp_path}: cannot be read: Is a directory"

    def out_of_memory(path):
        raise MemoryError

    monkeypatch.setattr(Path, "read_bytes", out_of_memory)
    with pytest.raises(InputError) as raised:
        checkpoint.load(tmp_path, ORIGIN)
    assert str(raised.value) == f"{tmp_path}: cannot be read: MemoryError"


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
