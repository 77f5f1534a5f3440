"""Make the n-th operation on files fail, or kill the process right before or after it."""

import builtins
import errno
import io
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

from lop.runs import tables

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


def in_a_fork(program: Callable[[], object], output: Path) -> int:
    """Call a function in a forked process.

    Args:
        program: function to call.
        output: file for the process's standard output and error.

    Returns:
        Its exit status, or minus the signal that killed it.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            with open(output, "w", buffering=1) as stream:
                sys.stdout = sys.stderr = sys.__stderr__ = stream
                program()
                status = 0
        except SystemExit as error:
            status = error.code if isinstance(error.code, int) else 1
        except BaseException:
            with open(output, "a") as stream:
                traceback.print_exc(file=stream)
        finally:
            os._exit(status)
    _, code = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(code)


def spread(count: int, most: int | None) -> list[int]:
    """Return `most` of the numbers below `count`, evenly spread; all if None."""
    return list(range(count)) if most is None or most >= count else sorted({i * count // most for i in range(most)})


def cases(count: int, most: int | None) -> list[tuple[int, str]]:
    """Return pairs of an operation and a fault: every pair, or `most` operations with one fault each in turn."""
    if most is None:
        return list(itertools.product(range(count), FAULTS))
    return list(zip(spread(count, most), itertools.cycle(FAULTS), strict=False))
