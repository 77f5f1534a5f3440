"""Locks on folders, based on the kernel's file locks."""

import ctypes
import fcntl
import os
import platform
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from lop.common.errors import InputError
from lop.common.paths import shown

NAME = ".lock"
POLL = 0.2  # seconds between two attempts to get a lock that another process holds
SILENT = 0.4  # seconds to wait before saying so; inspecting a lock takes less


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder for this process; if another process holds it, print one line on standard error and wait.

    The kernel releases the lock when the process ends, for whatever reason.

    Raises:
        InputError: the file system does not support locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NAME
    lock = FileLock(path, poll_interval=POLL, fallback_to_soft=False, on_acquired=_sign)
    try:
        try:
            lock.acquire(timeout=SILENT)
        except Timeout:
            print(f"{shown(folder)}: waiting for process {_holder(path)}", file=sys.stderr, flush=True)
            lock.acquire()
    except (NotImplementedError, OSError) as error:
        reason = getattr(error, "strerror", None) or "the file system has no file locks"
        raise InputError(
            f"{shown(path)}: cannot be locked: {reason}; allowed: a writable folder on a file system with locks"
        ) from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def try_lock(folder: Path) -> Iterator[bool]:
    """Try to lock a folder without waiting; yield whether this process may use the folder."""
    lock = FileLock(folder / NAME, fallback_to_soft=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        yield False
        return
    except (NotImplementedError, OSError):  # no locks, or a read-only folder: no process holds it
        yield True
        return
    try:
        yield True
    finally:
        lock.release()


def is_locked(folder: Path) -> bool:
    """Return whether another process holds the lock of a folder, which may belong to another user."""
    try:
        descriptor = os.open(folder / NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # which of them depends on the system
        return True
    except OSError:  # the file system has no locks
        return False
    finally:
        os.close(descriptor)
    return False


def die_with_parent() -> None:
    """Have the kernel send SIGTERM when the parent process ends, so that a killed Snakemake leaves no run behind.

    Linux only; no effect on other systems.
    """
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def _sign(descriptor: int) -> None:
    """Write the process and host that hold the lock into its file."""
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()} on {platform.node()}".encode(), 0)


def _holder(path: Path) -> str:
    try:
        return path.read_text() or "?"
    except OSError:
        return "?"
