"""Process settings during training: threads, floating point, signals."""

import gc
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from threadpoolctl import threadpool_limits

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL: saved, run the same command again (a scheduler may requeue)
SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(SystemExit):
    """The run was stopped and has saved its state."""

    def __init__(self) -> None:
        super().__init__(EXIT_INTERRUPTED)


class StopRequest:
    """Context manager that records in `received` whether SIGTERM or SIGINT has arrived since it was entered."""

    def __init__(self) -> None:
        self.received = False
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        self.received = False
        self._handlers = {number: signal.signal(number, self._receive) for number in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _receive(self, signum: int, frame: Any) -> None:
        self.received = True


@contextmanager
def reproducible_arithmetic() -> Iterator[None]:
    """Compute on one thread, flush denormal numbers to zero, and have cuDNN choose deterministic kernels."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # for libraries that are loaded later, such as SciPy's
    threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
    with threadpool_limits(1):
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        torch.backends.cudnn.deterministic = True
        try:
            yield
        finally:
            gc.unfreeze()
            torch.set_num_threads(threads)
            torch.set_flush_denormal(False)
            torch.backends.cudnn.deterministic = deterministic
