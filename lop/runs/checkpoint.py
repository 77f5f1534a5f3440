"""Checkpoints: the complete state of a run in one file, validated before use.

A checkpoint is a ZIP archive. Its member `state.json` holds the state except the contents of arrays, which are separate
members in NumPy's format. Nothing is pickled, and torch is imported only to restore tensors.
"""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.runs.identity import differences

FORMAT = 2
TREE = "state.json"
BFLOAT16 = "bfloat16"  # NumPy lacks this type; its bits are stored as int16


def save(path: Path, origin: dict[str, Any], state: dict[str, Any], progress: dict[str, Any] | None = None) -> None:
    """Write a checkpoint atomically.

    Args:
        path: file to write.
        origin: identity of the run, with its seed and its inputs; `load` compares it.
        state: nested lists, tuples and dicts of NumPy arrays, tensors on any device, numbers, strings, bytes and None.
        progress: JSON values for `progress`, which reads them without the state.

    Raises:
        TypeError: `state` contains a value of another type, such as a named tuple or a masked array.
    """
    arrays: list[np.ndarray] = []
    tree = json.dumps({"format": FORMAT, "origin": origin, "progress": progress or {}, "state": _tree(state, arrays)})
    with atomic_file(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        archive.writestr(TREE, tree)
        for number, array in enumerate(arrays):
            with archive.open(f"{number}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def progress(path: Path) -> dict[str, Any]:
    """Return the progress that a checkpoint was saved with; an empty dictionary if the file is missing or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return dict(json.loads(archive.read(TREE))["progress"])
    except Exception:  # a damaged file can make the reader raise anything
        return {}


def check(state: Any) -> None:
    """Raise TypeError if a state cannot be saved; see `save`."""
    _tree(state, [])


def load(path: Path, origin: dict[str, Any]) -> dict[str, Any]:
    """Return the state in `path`, with all tensors on the CPU.

    Raises:
        InputError: the file cannot be read, is damaged, has another format or belongs to a run with another origin.
    """
    content = read(path)
    if content["format"] != FORMAT:
        raise InputError(f"{shown(path)}: checkpoint format: found {content['format']!r:.40}, allowed: {FORMAT}")
    try:
        differing = differences(content["origin"], origin)
    except Exception as error:  # an origin of another layout can make the comparison raise anything
        raise _damaged(path, error) from None
    if differing:
        raise InputError(f"{shown(path)}: checkpoint of another run: {differing}; move it away")
    return content["state"]


def read(path: Path) -> dict[str, Any]:
    """Return the `format`, `origin` and `state` of any run's checkpoint.

    Raises:
        InputError: the file cannot be read or is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:  # only reading the file can raise OSError
            if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
                raise ValueError("compressed members")  # could expand to any size
            if TREE not in archive.namelist():
                raise ValueError(f"no {TREE}: the file may be from an older version of lop")
            content = json.loads(archive.read(TREE))
            arrays = [_array(archive, number) for number in range(len(archive.namelist()) - 1)]
        if content["format"] == FORMAT:
            content["state"] = _state(content["state"], iter(arrays))
    except (OSError, MemoryError) as error:  # the file may be intact
        raise InputError(f"{shown(path)}: cannot be read: {_reason(error)}") from None
    except Exception as error:  # a damaged file can make the reader raise anything else
        raise _damaged(path, error) from None
    return content


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{shown(path)}: checkpoint truncated or damaged ({_reason(error)}); move it away and run again")


def _reason(error: Exception) -> str:
    """Return an error's message, or else its type, as one short line."""
    return " ".join((getattr(error, "strerror", None) or str(error) or type(error).__name__).split())[:120]


def _tree(value: Any, arrays: list[np.ndarray]) -> Any:
    """Return `value` as JSON, with {kind: content} for types that JSON lacks; append its arrays to `arrays`."""
    if value is None or type(value) in (bool, int, str) or isinstance(value, float):
        return value
    if type(value) is list:
        return [_tree(one, arrays) for one in value]
    if type(value) is tuple:
        return {"tuple": [_tree(one, arrays) for one in value]}
    if isinstance(value, dict):
        return {"dict": [[_tree(key, arrays), _tree(one, arrays)] for key, one in value.items()]}
    if isinstance(value, bytes):
        arrays.append(np.frombuffer(value, np.uint8))
        return {"bytes": None}
    if type(value) is np.ndarray and not value.dtype.hasobject:
        arrays.append(value)
        return {"array": None}
    torch = sys.modules.get("torch")
    if torch and torch.is_tensor(value):
        tensor, kind = value.detach().cpu(), str(value.dtype).removeprefix("torch.")
        arrays.append((tensor.view(torch.int16) if kind == BFLOAT16 else tensor).numpy())
        return {"tensor": kind}
    raise TypeError(f"a checkpoint cannot contain a {type(value).__module__}.{type(value).__qualname__}")


def _state(tree: Any, arrays: Iterator[np.ndarray]) -> Any:
    """Return the value that `_tree` encoded."""
    if isinstance(tree, list):
        return [_state(one, arrays) for one in tree]
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tuple":
        return tuple(_state(one, arrays) for one in content)
    if kind == "dict":
        return {_state(key, arrays): _state(value, arrays) for key, value in content}
    if kind == "bytes":
        return next(arrays).tobytes()
    if kind == "array":
        return next(arrays)
    if kind != "tensor":
        raise ValueError(f"unknown type {kind!r}")
    import torch

    tensor = torch.from_numpy(next(arrays))
    return tensor.view(torch.bfloat16) if content == BFLOAT16 else tensor


def _array(archive: zipfile.ZipFile, number: int) -> np.ndarray:
    content = io.BytesIO(archive.read(f"{number}.npy"))  # verifies the checksum before the header is interpreted
    return np.lib.format.read_array(content, allow_pickle=False)
