"""Operations on the files of a folder, seen by replacing the functions that carry them out."""

import builtins
import io
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from lop.runs import tables

PATCHED = [
    *((builtins, "open"), (io, "open"), (tables.pq, "write_table")),
    *((os, name) for name in ("open", "fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "scandir")),
]


class Watched:
    """Context manager that hands every operation on the files of a folder to `operate`.

    Args:
        folder: operations on other files are not seen.

    Attributes:
        operations: names of the functions called so far, with a path relative to the folder.
        is_paused: whether to ignore operations for now.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        self.operations: list[str] = []
        self.is_paused = False
        self._patches = ExitStack()

    def __enter__(self):
        for module, name in PATCHED:
            self._patches.enter_context(patch.object(module, name, self._wrapped(getattr(module, name), name)))
        return self

    def __exit__(self, *error: object) -> None:
        self._patches.close()

    def operate(self, name: str, path: Path, function: Callable, *args, **kwargs):
        """Carry out an operation on an absolute path by calling `function`."""
        return function(*args, **kwargs)

    def _wrapped(self, function: Callable, name: str) -> Callable:
        def call(*args, **kwargs):
            path = _path(name, args)
            if self.is_paused or path is None or not path.is_relative_to(self.folder):
                return function(*args, **kwargs)
            self.operations.append(f"{name} {path.relative_to(self.folder)}")
            return self.operate(name, path, function, *args, **kwargs)

        return call


def _path(name: str, args: tuple) -> Path | None:
    """Return the absolute path that an operation concerns, None if it has no path."""
    given = args[1].name if name == "write_table" else args[0] if args else "."
    if isinstance(given, int):
        try:
            given = os.readlink(f"/proc/self/fd/{given}")
        except OSError:
            return None
    return Path(os.path.abspath(os.fsdecode(given)))
