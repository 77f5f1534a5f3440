"""Drives a run: goes on from its checkpoint, saves, tells how far it is, stops when asked to, writes its metrics.

A training script says what its state is and loops::

    run.track(learner=learner, environment=environment)       # objects with state_dict and load_state_dict
    for step in run.steps(parameters.n_steps, unit="steps"):   # from 0, or from where the run was interrupted
        ...
        run.log("return", step + 1, value)

Between two steps of that loop, and nowhere else, the run is saved; so a run that was killed and resumed any number of
times gives the table of an uninterrupted one, bit for bit, on the same machine.
"""

import gc
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import torch

from lop.common.files import remove_leftovers
from lop.common.locks import locked
from lop.data.sets import DATA, folder_of, must_be_there
from lop.runs import checkpoint
from lop.runs.metrics import MetricsLog, read_about, write_metrics
from lop.runs.progress import Progress, duration
from lop.runs.scheduler import TimeLimit
from lop.runs.spec import RunSpec
from lop.runs.store import Store

EXIT_INTERRUPTED = 75  # EX_TEMPFAIL: saved, run the same command again (a scheduler may requeue)
LOOK_EVERY = 0.1  # seconds between two looks at the clock, about; steps may take microseconds or minutes


class Stateful(Protocol):
    def state_dict(self) -> Any: ...
    def load_state_dict(self, state: Any) -> Any: ...


class Interrupted(SystemExit):
    """The run was asked to stop, and has saved its state."""

    def __init__(self) -> None:
        super().__init__(EXIT_INTERRUPTED)


METRICS = "metrics.parquet"


class Run:
    """One run from its beginning, or from its checkpoint, to its metrics file.

    Args:
        spec: which run. results: folder of all results. device: `cpu`, `cuda`, ...
        checkpoint_every: seconds between two checkpoints.
        fresh: a checkpoint or result of another run in the same folder is set aside in the store; else it is an error.
        progress_every: seconds between two lines in a log.
        data: folder of all sets of images.
    """

    def __init__(
        self,
        spec: RunSpec,
        results: Path,
        device: str = "cpu",
        checkpoint_every: float = 60.0,
        fresh: bool = False,
        progress_every: float = 60.0,
        data: Path = DATA,
    ):
        self.spec, self.device, self.seed = spec, device, spec.seed
        self.folder = results / spec.folder
        self.data = data
        self.output = self.folder / METRICS
        self.checkpoint = self.folder / checkpoint.NAME
        self.store = Store(results)
        self.metrics = MetricsLog()
        self.log = self.metrics.log
        self.step = 0
        self.facts: Callable[[], str] = str
        self.notes: dict[str, Any] = {}  # more about the run, for the metadata of its metrics
        self._checkpoint_every, self._fresh, self._progress_every = checkpoint_every, fresh, progress_every
        self._tracked: dict[str, Stateful] = {}
        self._history: dict[str, Any] = {"seconds": 0.0, "resumed": 0, "started": _now()}
        self._stop = False

    def execute(self, train: Callable[["Run"], None]) -> None:
        """Do whatever is left to do of this run: nothing, restore it from the store, or train."""
        with locked(self.folder):
            remove_leftovers(self.folder)
            if self._is_done():
                print(f"{self.spec.name}: already done: {self.output}", file=sys.stderr)
                return
            if self.store.restore_metrics(self.spec, self.output):
                print(f"{self.spec.name}: restored, nothing to train: {self.output}", file=sys.stderr)
                return
            if self.spec.problem.data:
                must_be_there(
                    self.spec.problem.data, self.spec.images, self.spec.parameters.classes(self.seed), self.data
                )
            self._prepare_checkpoint()
            torch.set_num_threads(1)
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # SciPy's, which nothing has loaded yet
            torch.set_flush_denormal(True)
            deterministic = torch.backends.cudnn.deterministic
            torch.backends.cudnn.deterministic = True  # on a GPU: else some kernels add in an order that changes
            handlers = {s: signal.signal(s, self._on_signal) for s in (signal.SIGTERM, signal.SIGINT)}
            try:
                train(self)
            finally:
                self.facts = str  # what knows this run would keep it, and its networks, when the next one begins
                gc.unfreeze()
                torch.set_flush_denormal(False)
                torch.backends.cudnn.deterministic = deterministic
                for signum, handler in handlers.items():
                    signal.signal(signum, handler)

    def _is_done(self) -> bool:
        if not self.output.exists():
            return False
        about = read_about(self.output)
        return about.get("key") == self.spec.key and about.get("horizon") == self.spec.horizon

    def _prepare_checkpoint(self) -> None:
        """A foreign checkpoint goes to the store if it may, and our own comes back from there."""
        there = self._fresh and self.checkpoint.exists()
        if there and (other := checkpoint.other_key(self.checkpoint, self.spec)):
            self.store.keep_checkpoint(self.checkpoint, other)
            self.checkpoint.unlink()
        if not self.checkpoint.exists():
            self.store.restore_checkpoint(self.spec, self.checkpoint)

    @property
    def images(self) -> Path:
        """The folder of the images that the problem learns from, for `lop.data.load`."""
        return folder_of(self.spec.problem.data, self.spec.images.source, self.data)

    def track(self, **objects: Stateful) -> None:
        """Name all objects whose state the rest of the run depends on; torch's generators are always part of it."""
        self._tracked |= objects

    def steps(self, n: int, unit: str = "steps", stride: int = 1) -> Iterator[int]:
        """The numbers of the steps that are left of n, every `stride`-th of them, which divides n; writes the metrics
        after the last. A step here may be a part of those that the horizon and the metrics count."""
        longer_run_is_there = self._resume(n)
        progress = Progress(self.spec.name, n, unit, self._progress_every)
        progress.begin(self.step)
        gc.freeze()  # the garbage collector need not walk through all of torch again and again
        clock = saved = time.monotonic()
        ahead, look_around = stride, self.step + stride
        limit = TimeLimit()
        while self.step < n:
            if self.step >= look_around or self._stop:
                now = time.monotonic()
                ahead = max(stride, min(2 * ahead, int(ahead * LOOK_EVERY / max(now - clock, 1e-9))))
                look_around = self.step + ahead
                lap = now - clock
                self._history["seconds"] += lap
                clock = now
                out_of_time = limit.is_near(lap)
                if self._stop or out_of_time:
                    self.save()
                    progress.end(f"stopped and saved at {self.step:,} of {n:,} {unit}; the same command goes on")
                    if out_of_time:
                        limit.put_back()
                    raise Interrupted
                if now - saved >= self._checkpoint_every:
                    self.save()
                    saved = now
                progress.update(self.step, self.facts())
            yield self.step
            self.step += stride
        self._history["seconds"] += time.monotonic() - clock
        self._finish(keep_checkpoint=not longer_run_is_there)
        progress.end(f"done, {n:,} {unit} in {duration(self._history['seconds'])}: {self.output}")

    def save(self) -> None:
        """Write a checkpoint."""
        state = {name: thing.state_dict() for name, thing in self._tracked.items()}
        own = {
            "step": self.step,
            "history": self._history,
            "metrics": self.metrics.state_dict(),
            "torch_rng": torch.get_rng_state(),
            "device_rng": self._device_module.get_rng_state(self.device) if self._device_module else None,
        }
        checkpoint.save(self.checkpoint, self.spec, {"run": own, "tracked": state})

    def _resume(self, n: int) -> bool:
        """Take up the checkpoint, if there is one; True if it is beyond this run's end, step n."""
        if not self.checkpoint.exists():
            return False
        state = checkpoint.load(self.checkpoint, self.spec)
        own = state["run"]
        self.metrics.load_state_dict(own["metrics"])
        self._history = {**own["history"], "resumed": own["history"]["resumed"] + 1}
        if own["step"] > n:  # a longer run was saved: this one is its beginning
            self.metrics.cut(self.spec.horizon)
            self.step = n
            return True
        for name, thing in self._tracked.items():
            thing.load_state_dict(state["tracked"][name])
        self.step = own["step"]
        torch.set_rng_state(own["torch_rng"])
        if self._device_module:
            self._device_module.set_rng_state(own["device_rng"], self.device)
        return False

    @property
    def _device_module(self) -> Any:
        """Torch's module of a device that has a random generator of its own, such as `torch.cuda`; None of the CPU."""
        kind = torch.device(self.device).type
        return None if kind == "cpu" else torch.get_device_module(kind)

    def _finish(self, keep_checkpoint: bool) -> None:
        if keep_checkpoint:
            self.save()
            self.store.keep_checkpoint(self.checkpoint, self.spec.key)
        write_metrics(self.store.metrics(self.spec), self.metrics, self.about())
        self.store.restore_metrics(self.spec, self.output)

    def about(self) -> dict[str, Any]:
        """The run's provenance: the JSON document in the metadata of its metrics."""
        seconds = self._history["seconds"]
        return {
            "name": self.spec.name,
            "problem": self.spec.problem.name,
            "config": self.spec.config,
            "setting": self.spec.setting,
            "seed": self.spec.seed,
            "scale": self.spec.scale,
            "parameters": self.spec.identity,
            "horizon": self.spec.horizon,
            "key": self.spec.key,
            "code_digest": self.spec.code_digest,
            "sources": self.spec.sources,
            "device": self.device,
            **self.notes,
            "started": self._history["started"],
            "ended": _now(),
            "seconds": seconds,
            "steps_per_second": self.step / seconds if seconds else None,
            "resumed": self._history["resumed"],
            "machine": {
                "node": platform.node(),
                "system": platform.platform(),
                "processor": _processor(),
                "cores": os.cpu_count(),
            },
            "versions": {"python": platform.python_version()} | _versions(),
        }

    def _on_signal(self, signum: int, frame: Any) -> None:
        self._stop = True


@cache
def _versions() -> dict[str, str]:
    versions = {}
    for name in ("torch", "numpy", "numba", "mujoco", "gymnasium", "scipy", "pyarrow", "pandas"):
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    return versions


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
