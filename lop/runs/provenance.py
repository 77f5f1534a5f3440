"""Provenance of a run: times, machine and versions, recorded with its metrics but not part of its identity."""

import os
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "numpy", "numba", "mujoco", "gymnasium", "scipy", "pyarrow", "pandas", "lop")
FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_tile")  # instructions with which libraries round differently


class History:
    """History of a run so far; saved in its checkpoints.

    The history keeps all machines and versions on which the run was continued. A mark contains the step of the run, its
    computing time in seconds, the time in seconds since 1970, and the number of times it had been resumed. Marks give
    the times of a shorter run that is cut from a longer one.
    """

    def __init__(self) -> None:
        self.started = time.time()
        self.seconds = 0.0
        self.resumed = 0
        self.marks: list[list[float]] = []
        self.made_on: list[tuple[int, dict[str, Any]]] = [(0, _here())]  # first step of each machine and versions

    def resume(self, step: int) -> None:
        """Record that this process continues the run."""
        self.resumed += 1
        if self.made_on[-1][1] != _here():
            self.made_on.append((step, _here()))

    def mark(self, step: int) -> None:
        """Record the current progress of the run."""
        self.marks.append([step, self.seconds, time.time(), self.resumed])

    def cut(self, step: int) -> None:
        """Restore the history at `step`, interpolating times between two marks."""
        self.made_on = [one for one in self.made_on if one[0] < max(step, 1)]
        before = [0, 0.0, self.started, 0]
        for mark in self.marks:
            if mark[0] >= step:
                part = (step - before[0]) / (mark[0] - before[0]) if mark[0] > before[0] else 1.0
                seconds, ended = (before[i] + part * (mark[i] - before[i]) for i in (1, 2))
                self.seconds, self.resumed = seconds, int(mark[3])
                self.marks = [one for one in self.marks if one[0] < step] + [[step, seconds, ended, mark[3]]]
                return
            before = mark

    def about(self, step: int) -> dict[str, Any]:
        """Return the history as plain JSON values for the metrics' metadata; the last mark is the end of the run."""
        ended = self.marks[-1][2] if self.marks else self.started
        return {
            "started": _text(self.started),
            "ended": _text(ended),
            "seconds": self.seconds,
            "steps_per_second": step / self.seconds if self.seconds else None,
            "resumed": self.resumed,
            "earlier": [{"from": start, **place} for start, place in self.made_on[:-1]],
            **self.made_on[-1][1],
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the history for a checkpoint."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the history of a checkpoint."""
        vars(self).update(state)


def _here() -> dict[str, Any]:
    return {"machine": machine(), "versions": versions()}


@cache
def machine() -> dict[str, Any]:
    """Return the name, system, processor, its vector instructions and number of cores of this machine."""
    return {
        "node": platform.node(),
        "system": platform.platform(),
        "processor": _cpuinfo("model name") or platform.processor(),
        "features": " ".join(name for name in FEATURES if name in _cpuinfo("flags").split()),
        "cores": os.cpu_count(),
    }


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python, the libraries and lop itself."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def changed_since(about: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return {name: (then, now)} of all versions that differ from those used in any part of a run."""
    now = versions()
    changed: dict[str, tuple[str, str]] = {}
    for part in (about, *about.get("earlier", ())):
        then = part.get("versions") or {}
        changed |= {name: (then[name], now[name]) for name in then.keys() & now.keys() if then[name] != now[name]}
    return dict(sorted(changed.items()))


@cache
def _cpuinfo(key: str) -> str:
    """Return a value of the first core in /proc/cpuinfo, or an empty string."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith(key))
    except (OSError, StopIteration):
        return ""


def _text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
