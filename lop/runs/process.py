"""Process settings during training: threads, floating point, random generators, signals.

Importing torch takes a second, so it is used only if the experiment has already imported it.
"""

import ctypes
import gc
import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from threadpoolctl import threadpool_limits

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL: saved; run the same command again (a scheduler may requeue it)
SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Control register in the C library's floating-point environment on Linux: its index in 32-bit words, and the bits that
# flush denormal numbers to zero.
CONTROL_REGISTER = {"x86_64": (7, 0x8040), "aarch64": (0, 1 << 24)}


class Interrupted(SystemExit):
    """Exit of a run that was stopped and has saved its state."""

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
    """Compute on one thread, flush denormal numbers to zero, and make cuDNN choose deterministic kernels."""
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ.setdefault(variable, "1")  # for libraries loaded later, such as SciPy's
    torch = sys.modules.get("torch")
    flushed = sys.float_info.min / 2 == 0
    if torch:
        threads, deterministic = torch.get_num_threads(), torch.backends.cudnn.deterministic
        torch.set_num_threads(1)
        torch.backends.cudnn.deterministic = True
    try:
        with threadpool_limits(1):
            flush_denormal(True)
            yield
    finally:
        gc.unfreeze()
        flush_denormal(flushed)
        if torch:  # last, because the limits restore the 1 thread set above
            torch.set_num_threads(threads)
            torch.backends.cudnn.deterministic = deterministic


def flush_denormal(flush: bool) -> None:
    """Set whether denormal numbers are flushed to zero.

    Equivalent to `torch.set_flush_denormal`, but does not import torch on Linux (x86-64 and AArch64).
    """
    if sys.platform != "linux" or platform.machine() not in CONTROL_REGISTER:
        import torch

        torch.set_flush_denormal(flush)
        return
    word, bits = CONTROL_REGISTER[platform.machine()]
    library, environment = ctypes.CDLL(None), (ctypes.c_uint32 * 16)()
    library.fegetenv(environment)
    environment[word] = environment[word] | bits if flush else environment[word] & ~bits
    library.fesetenv(environment)


def generator_states(device: str) -> dict[str, Any]:
    """Return the states of torch's random generators on the CPU and on `device`; without torch, an empty mapping."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    states = {"cpu": torch.get_rng_state()}
    if device != "cpu":
        states["device"] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_generator_states(states: dict[str, Any], device: str) -> None:
    """Restore the states that `generator_states` returned."""
    if not states:
        return
    import torch

    torch.set_rng_state(states["cpu"])
    if device != "cpu":
        torch.get_device_module(device).set_rng_state(states["device"], device)
