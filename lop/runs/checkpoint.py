"""Checkpoints: the complete state of a run in one file, validated before use."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.runs.identity import differences

FORMAT = 1


def save(path: Path, origin: dict[str, Any], state: dict[str, Any]) -> None:
    """Write `state` atomically. It may contain tensors, numbers, strings, bytes, lists, tuples and dicts."""
    with atomic_file(path) as temporary:
        torch.save({"format": FORMAT, "origin": origin, "state": state}, temporary)


def load(path: Path, origin: dict[str, Any]) -> dict[str, Any]:
    """Return the state in `path`.

    Raises:
        InputError: the file is damaged, has another format, or belongs to a run of another origin.
    """
    content = _read(path)
    if content["format"] != FORMAT:
        raise InputError(f"{shown(path)}: checkpoint format: found {content['format']}, allowed: {FORMAT}")
    if differing := differences(content["origin"], origin):
        raise InputError(f"{shown(path)}: checkpoint of another run: {differing}; move it away")
    return content["state"]


def _read(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not compare checksums
        if damaged:
            raise ValueError(f"checksum of {damaged}")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if set(content) != {"format", "origin", "state"}:
            raise ValueError("not a checkpoint of lop")
        return content
    except Exception as error:  # a damaged file can make the reader raise anything
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{shown(path)}: checkpoint truncated or damaged ({reason}); move it away and run again"
        ) from None
