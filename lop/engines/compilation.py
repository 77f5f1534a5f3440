"""Compilation with Numba, with an on-disk cache of the functions that Python calls."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from numba import njit, typeof

from lop.common.sources import digest

# Allows the compiler to reorder and vectorise sums; NaN and infinity keep their meaning.
OPTIONS: dict[str, Any] = {"error_model": "numpy", "fastmath": {"reassoc", "contract", "arcp", "nsz"}}
# For functions that only compiled functions call: compiling the wrappers would double the compilation time.
INNER: dict[str, Any] = OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
compiled: Any = njit(**INNER)


class Entry:
    """Compiled function that Python calls.

    Processes that start together compile it once and share the result. Numba invalidates its cache when the file of the
    function changes, but not when files of functions that it calls change. Therefore, the name of the function includes
    a digest of all modules of lop that its module imports.

    Args:
        function: function to compile.
        options: options of `numba.njit`; the default is `OPTIONS`.
    """

    def __init__(self, function: Callable[..., Any], **options: Any):
        function.__qualname__ += f"_{digest(function.__module__)[:16]}"
        self.function = njit(cache=True, **(options or OPTIONS))(function)
        self._is_compiled = False

    def __call__(self, *arguments: Any) -> Any:
        """Call the function, and compile it first if necessary."""
        if not self._is_compiled:
            with _locked(Path(self.function.stats.cache_path)):
                self.function.compile(tuple(map(typeof, arguments)))
            self._is_compiled = True
        return self.function(*arguments)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder, if its file system supports locks."""
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
