"""Execution of one run: resume from the checkpoint, loop, save, report progress, write the metrics."""

import gc
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lop.common.errors import InputError
from lop.common.files import remove_leftovers, write_json
from lop.common.locks import locked
from lop.data.checksums import content_digest
from lop.data.sets import DATA
from lop.runs import checkpoint
from lop.runs.metrics import MetricsLog, check_belongs, write_metrics
from lop.runs.process import (
    Interrupted,
    StopRequest,
    generator_states,
    reproducible_arithmetic,
    set_generator_states,
)
from lop.runs.progress import Progress, duration
from lop.runs.protocol import Stateful
from lop.runs.provenance import History
from lop.runs.scheduler import TimeLimit
from lop.runs.spec import CHECKPOINT, IDENTITY, RunSpec
from lop.runs.tracking import Tracker, tracking

LOOK_EVERY = 0.1  # approximate seconds between two looks at the clock; a step takes microseconds to minutes


class Runner:
    """Executor of one run, from its start or its checkpoint to its metrics file; see `lop.runs.protocol.Run`.

    Args:
        spec: the run.
        results: folder of all results.
        checkpoint_every: seconds between two checkpoints.
        progress_every: seconds between two lines in a log.
        data: folder of all image sets.
        track: service that displays live curves, a key of `lop.runs.tracking.SERVICES`; None for none.
    """

    def __init__(
        self,
        spec: RunSpec,
        results: Path,
        checkpoint_every: float = 60.0,
        progress_every: float = 60.0,
        data: Path = DATA,
        track: str | None = None,
    ):
        self.spec, self.device, self.data = spec, spec.conditions.device, data
        self.parameters, self.seed, self.inputs = spec.parameters, spec.seed, spec.inputs
        self.results, self.folder = results, results / spec.folder
        self.output = results / spec.path
        self.checkpoint = self.folder / CHECKPOINT
        self.metrics = MetricsLog()
        self.log, self.recent = self.metrics.log, self.metrics.recent
        self.facts: Callable[[], str] = str
        self.step, self._steps, self._unit = 0, 0, "steps"
        self._checkpoint_every, self._progress_every = checkpoint_every, progress_every
        self._tracked: dict[str, Stateful] = {}
        self._images: dict[str, str] = {}  # their digest, for the metadata of the metrics
        self._history = History()
        self._service = track
        self._tracker: Tracker | None = None
        self._stop = StopRequest()

    def execute(self, train: Callable[["Runner"], None]) -> None:
        """Complete this run while holding the lock of its folder.

        Raises:
            InputError: images are missing or damaged, or a file in the run's folder is damaged or of another run.
            Interrupted: a signal or the scheduler's time limit stopped the run, which has saved its state.
        """
        with locked(self.folder):
            remove_leftovers(self.folder)
            self._write_identity()
            if self.output.exists():
                check_belongs(self.output, self.spec)
                print(f"{self.spec.name}: already done: {self.output}", file=sys.stderr)
                return
            problem = self.spec.problem
            if problem.data:
                self.spec.conditions.images.must_exist(problem.data, self.parameters.classes(self.seed), self.data)
                self._images = {"images": content_digest(self.spec.data_files(self.data))}
            with (
                reproducible_arithmetic(),
                self._stop,
                tracking(self._service, self.spec, self.results) as self._tracker,
            ):
                try:
                    train(self)
                finally:
                    self.facts = str  # otherwise it would keep this run's networks alive during the next run

    @property
    def asked_to_stop(self) -> bool:
        """Whether SIGTERM or SIGINT arrived during the run, which may have ended all the same."""
        return self._stop.received

    @property
    def images(self) -> Path:
        """Folder of the images that the problem learns from."""
        return self.spec.conditions.images.folder(self.spec.problem.data, self.data)

    def track(self, **objects: Stateful) -> None:
        """Register objects to be saved in checkpoints."""
        self._tracked |= objects

    def steps(self, n: int, unit: str = "steps", stride: int = 1) -> Iterator[int]:
        """Yield the remaining steps; see `lop.runs.protocol.Run.steps`."""
        is_cut = self._resume(n)
        if not self.step:
            self._check_states()
        self._steps, self._unit = n, unit
        progress = Progress(self.spec.name, n, unit, self._progress_every)
        progress.begin(0 if is_cut else self.step)
        gc.freeze()  # spares the garbage collector from scanning all of torch repeatedly
        clock = saved = time.monotonic()
        ahead, look_around = stride, self.step + stride
        limit = TimeLimit()
        while self.step < n:
            if self.step >= look_around or self._stop.received:
                now = time.monotonic()
                ahead = max(stride, min(2 * ahead, int(ahead * LOOK_EVERY / max(now - clock, 1e-9))))
                look_around = self.step + ahead
                lap = now - clock
                self._history.seconds += lap
                clock = now
                out_of_time = limit.is_near(lap)
                if self._stop.received or out_of_time:
                    self.save()
                    progress.end(f"stopped and saved at {self.step:,} of {n:,} {unit}; rerun it to continue")
                    if out_of_time:
                        limit.put_back()
                    raise Interrupted
                if now - saved >= self._checkpoint_every:
                    self.save()
                    saved = now
                progress.update(self.step, self.facts())
            self.metrics.position = self.step
            yield self.step
            self.step += stride
        if not is_cut:
            self._history.seconds += time.monotonic() - clock
            self.save()
        write_metrics(self.output, self.metrics, self.about())
        progress.end(f"done, {n:,} {unit} in {duration(self._history.seconds)}: {self.output}")

    def _check_states(self) -> None:
        """Raise InputError if a tracked object has a state that cannot be saved, such as a callback of the user."""
        for name, thing in self._tracked.items():
            try:
                checkpoint.check(thing.state_dict())
            except TypeError as error:
                raise InputError(f"{self.spec.name}: state of the {name}: {error}") from error

    def save(self) -> None:
        """Write a checkpoint, and send the metrics up to it to the tracker."""
        self._history.mark(self.step)
        progress = {
            "name": self.spec.name,
            "step": self.step,
            "of": self._steps,
            "unit": self._unit,
            "seconds": self._history.seconds,
        }
        own = {
            "step": self.step,
            "history": self._history.state_dict(),
            "metrics": self.metrics.state_dict(),
            "generators": generator_states(self.device),
        }
        tracked = {name: thing.state_dict() for name, thing in self._tracked.items()}
        checkpoint.save(self.checkpoint, self.spec.origin, {"run": own, "tracked": tracked}, progress)
        if self._tracker:
            self._tracker.send(self.metrics)

    def _resume(self, n: int) -> bool:
        """Restore the checkpoint, if any; return whether it covers all n steps, so that the run is cut from it."""
        if not self.checkpoint.exists():
            return False
        state = checkpoint.load(self.checkpoint, self.spec.origin)
        own = state["run"]
        self.metrics.load_state_dict(own["metrics"])
        self._history.load_state_dict(own["history"])
        self.step = min(own["step"], n)
        if own["step"] >= n:
            self.metrics.cut(n)
            self._history.cut(n)
            return True
        self._history.resume(self.step)
        for name, thing in self._tracked.items():
            thing.load_state_dict(state["tracked"][name])
        set_generator_states(own["generators"], self.device)
        return False

    def about(self) -> dict[str, Any]:
        """Return the run's identity and provenance: the JSON document in the metadata of its metrics."""
        spec = self.spec
        return {
            "name": spec.name,
            "config": spec.config,
            "setting": spec.setting,
            "scale": spec.scale,
            "key": spec.key,
            "origin": spec.origin,
            "horizon": spec.horizon,
            "device": self.device,
            **self._images,
            **self._history.about(self.step),
        }

    def _write_identity(self) -> None:
        path = self.folder.parent / IDENTITY
        if not path.exists():
            write_json(path, self.spec.identity)
