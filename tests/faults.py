"""Make the n-th operation on files fail, or kill the process right before or after it."""

import builtins
import errno
import importlib
import io
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import scripts

from lop.common.errors import told_in_one_line
from lop.figures.collect import collect, read_collected, write_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs, table_path
from lop.runs import tables
from lop.runs.spec import Conditions

ERRORS = {name: getattr(errno, name) for name in ("EIO", "ENOSPC", "EACCES")}
KILLS = ("killed before", "killed after")
FAULTS = (*ERRORS, *KILLS)
PATCHED = [
    *((builtins, "open"), (io, "open"), (tables.pq, "write_table")),
    *((os, name) for name in ("open", "fsync", "replace", "rename", "link", "unlink", "mkdir", "rmdir", "scandir")),
]


class Injected:
    """Context manager that counts the operations on files in a folder, and injects a fault into one of them.

    Args:
        folder: other files are not affected.
        number: operation to fail, from 0; None to count only.
        fault: one of `FAULTS`.
    """

    def __init__(self, folder: Path, number: int | None = None, fault: str = ""):
        self.folder, self.number, self.fault = f"{folder.resolve()}/", number, fault
        self.operations: list[str] = []
        self._patches = ExitStack()

    def __enter__(self) -> "Injected":
        for module, name in PATCHED:
            self._patches.enter_context(patch.object(module, name, self._wrapped(getattr(module, name), name)))
        return self

    def __exit__(self, *error: object) -> None:
        self._patches.close()

    def _wrapped(self, function: Callable, name: str) -> Callable:
        def call(*args, **kwargs):
            path = self._path(name, args)
            if path is None:
                return function(*args, **kwargs)
            self.operations.append(f"{name} {path}")
            if len(self.operations) - 1 != self.number:
                return function(*args, **kwargs)
            if self.fault in ERRORS:
                raise OSError(ERRORS[self.fault], os.strerror(ERRORS[self.fault]))
            if self.fault == "killed after":
                function(*args, **kwargs)
            os.kill(os.getpid(), signal.SIGKILL)

        return call

    def _path(self, name: str, args: tuple) -> str | None:
        """Return the path that an operation concerns, relative to the folder; None if it is elsewhere."""
        given = args[1] if name == "write_table" else args[0] if args else "."
        if isinstance(given, int):
            try:
                given = os.readlink(f"/proc/self/fd/{given}")
            except OSError:
                return None
        path = os.path.abspath(os.fspath(given))
        path = path.decode() if isinstance(path, bytes) else path
        return path.removeprefix(self.folder) if f"{path}/".startswith(self.folder) else None


def execute(python: Path, program: str, given: Mapping[str, Any], output: Path) -> int:
    """Execute a program of `PROGRAMS` in a process of its own.

    Args:
        python: interpreter.
        program: name of the program.
        given: its keyword arguments, as plain JSON values.
        output: file for standard output and error.

    Returns:
        The exit status, or minus the signal that killed the process.
    """
    with open(output, "w") as stream:
        command = [python, __file__, program, json.dumps(given, default=str)]
        return subprocess.run(command, stdout=stream, stderr=stream).returncode


def spread(count: int, most: int | None) -> list[int]:
    """Return `most` of the numbers below `count`, evenly spread; all if None."""
    return list(range(count)) if most is None or most >= count else sorted({i * count // most for i in range(most)})


def cases(count: int, most: int | None) -> list[tuple[int, str]]:
    """Return pairs of an operation and a fault: every pair, or `most` operations with one fault each in turn."""
    if most is None:
        return list(itertools.product(range(count), FAULTS))
    return list(zip(spread(count, most), itertools.cycle(FAULTS), strict=False))


def run(
    folder: str, script: str, arguments: list, number: int | None = None, fault: str = "", limit: int | None = None
) -> list[str]:
    """Run a script with results in a folder; files cannot grow beyond `limit` bytes."""
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with Injected(Path(folder), number, fault) as injected:
        scripts.run(importlib.import_module(script), *arguments, "--results", folder)
    return injected.operations


def build_figure(folder: str, number: int | None = None, fault: str = "") -> list[str]:
    """Collect and draw figure 4a at smoke scale from runs in a folder."""
    figure = load_figure("fig4a", "smoke")
    runs, results = shown_runs(figure, Conditions()), Path(folder)
    table = results / table_path(figure, runs)
    with Injected(results, number, fault) as injected, told_in_one_line():
        write_collected(collect(figure, runs, results), table)
        draw(read_collected(table), figure, results / "figures")
    return injected.operations


PROGRAMS = {"run": run, "build_figure": build_figure}

if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    operations = PROGRAMS[sys.argv[1]](**given)
    if given.get("number") is given.get("limit") is None:
        Path(given["folder"]).with_suffix(".operations").write_text("\n".join(operations))
