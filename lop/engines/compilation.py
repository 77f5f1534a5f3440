"""Compile functions with numba, and keep the machine code of those that Python calls on disk."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from numba import njit, typeof

from lop.common.sources import digest

# NaN and infinity keep their meaning; sums may be computed in another order than written, by vector instructions.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
# A function that only compiled functions call: what would let Python call it takes as long to compile as it does.
INNER: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
compiled: Any = njit(**INNER)


class Entry:
    """A compiled function that Python calls. Processes that start together compile it once and share the result.

    Args:
        function: the function. Numba renews what it keeps on disk when the function's own file changes, but not when a
            file changes whose functions it calls. So a digest of all modules of lop that its module imports becomes
            part of its name.
        options: of `numba.njit`.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        function.__qualname__ += f"_{digest(function.__module__)[:16]}"
        self.function = njit(cache=True, **(options or OPTIONS))(function)
        self._is_compiled = False

    def __call__(self, *arguments: Any) -> Any:
        if not self._is_compiled:
            with _locked(Path(self.function.stats.cache_path)):
                self.function.compile(tuple(map(typeof, arguments)))
            self._is_compiled = True
        return self.function(*arguments)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, if its file system has locks."""
    lock = FileLock(folder / ".compiling.lock", fallback_to_soft=False)
    try:
        lock.acquire()
    except (NotImplementedError, OSError):
        yield
        return
    try:
        yield
    finally:
        lock.release()
