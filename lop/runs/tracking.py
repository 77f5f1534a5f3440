"""Live curves of runs in TensorBoard or Weights & Biases, from the metrics that they log anyway.

Values are sent after each checkpoint, and their number is stored beside it, so that the curve of an interrupted run
continues without a gap. Values sent by a process that is killed before it stores their number are sent again.

TensorBoard's files are in <results>/tensorboard, for `tensorboard --logdir results/tensorboard`; those of Weights &
Biases in <results>/wandb. Without a network, set WANDB_MODE=offline and upload them later with `wandb sync`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from lop.common.errors import InputError
from lop.common.files import read_json, write_json
from lop.runs.metrics import NO_LAYER, MetricsLog
from lop.runs.spec import RunSpec

SENT = "tracked.json"  # file in the folder of a run: {service: number of rows}
Row = tuple[int, str, float]  # step, name, value


class Service(Protocol):
    """Service that displays curves."""

    def send(self, rows: Iterator[Row]) -> None:
        """Send values; when the method returns, they are on disk."""

    def close(self) -> None:
        """End the connection; the run may go on later."""


class TensorBoard:
    """Event files for TensorBoard."""

    def __init__(self, spec: RunSpec, results: Path):
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(results / "tensorboard" / spec.folder))

    def send(self, rows: Iterator[Row]) -> None:
        """See `Service`."""
        for step, name, value in rows:
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """See `Service`."""
        self._writer.close()


class WandB:
    """Run of Weights & Biases, in the project `lop`."""

    def __init__(self, spec: RunSpec, results: Path):
        import wandb

        (results / "wandb").mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project="lop",
            dir=str(results),
            id=f"{spec.key}-{spec.folder.name.removeprefix('seed-')}",
            name=spec.name,
            group=spec.name_of_all_seeds,
            config={"seed": spec.seed, **spec.identity["parameters"]},
            resume="allow",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, save_code=False, x_disable_stats=True
            ),
        )
        self._run.define_metric("*", step_metric="step")

    def send(self, rows: Iterator[Row]) -> None:
        """See `Service`."""
        for step, of_step in groupby(rows, itemgetter(0)):
            self._run.log({"step": step, **{name: value for _, name, value in of_step}})

    def close(self) -> None:
        """See `Service`."""
        self._run.finish()


SERVICES: dict[str, Callable[[RunSpec, Path], Service]] = {"tensorboard": TensorBoard, "wandb": WandB}


class Tracker:
    """Sender of a run's metrics to a service. A failure of the service is reported once and never stops the run.

    Args:
        name: key of `SERVICES`.
        spec: the run.
        results: folder of all results.

    Raises:
        InputError: the package of the service is not installed.
    """

    def __init__(self, name: str, spec: RunSpec, results: Path):
        self._name, self._run = name, spec.name
        self._file = results / spec.folder / SENT
        self._service: Service | None = None
        try:
            self._sent = int(read_json(self._file).get(name, 0))
            self._service = SERVICES[name](spec, results)
        except ImportError as error:
            raise InputError(f"track: {name} needs the package {error.name}: pip install 'lop[tracking]'") from None
        except Exception as error:  # of the service, or a damaged file of the number sent
            self._give_up(error)

    def send(self, log: MetricsLog) -> None:
        """Send the rows that have been logged since the last call, also in an earlier process."""
        if self._service is None:
            return
        try:
            self._service.send(_rows(log, self._sent))
            self._sent = len(log)
            write_json(self._file, {**read_json(self._file), self._name: self._sent})
        except Exception as error:
            self._give_up(error)

    def close(self) -> None:
        """End the connection to the service."""
        if self._service is not None:
            try:
                self._service.close()
            except Exception as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._service = None
        reason = " ".join(str(error).split()) or type(error).__name__
        print(f"{self._run}: {self._name} failed, the run continues without it: {reason}", file=sys.stderr)


@contextmanager
def tracking(name: str | None, spec: RunSpec, results: Path) -> Iterator[Tracker | None]:
    """Provide the tracker of a run for a `with` block; None without the name of a service."""
    tracker = Tracker(name, spec, results) if name else None
    try:
        yield tracker
    finally:
        if tracker:
            tracker.close()


def _rows(log: MetricsLog, first: int) -> Iterator[Row]:
    for row in range(first, len(log)):
        layer = log.layer[row]
        name = log.names[log.metric[row]]
        yield log.step[row], name if layer == NO_LAYER else f"{name}/layer {layer}", log.value[row]
