"""Interface between an experiment and its run.

An experiment is a function `train(run)`. It registers its state and loops over steps::

    run.track(learner=learner, environment=environment)       # objects with state_dict and load_state_dict
    for step in run.steps(parameters.n_steps, unit="steps"):   # from 0, or from where the run was interrupted
        ...
        run.log("return", step + 1, value)

The run is saved between two steps of that loop and nowhere else, so that a run that is killed and resumed any number of
times gives results bit-identical to those of an uninterrupted one on the same kind of machine.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol


class Stateful(Protocol):
    """Object whose state a run saves and restores."""

    def state_dict(self) -> Any:
        """Return the state, as `lop.runs.checkpoint.save` accepts it."""

    def load_state_dict(self, state: Any) -> Any:
        """Restore a state that `state_dict` returned."""


class Run(Protocol):
    """A run of one problem with one seed."""

    parameters: Any  #: parameters of the problem
    seed: int
    device: str  #: device of the tensors, as in ``torch.device("cuda:1")``
    inputs: Mapping[str, list[float]]  #: see `lop.runs.parameters.Parameters.inputs`
    facts: Callable[[], str]  #: returns a summary of the results so far for the progress line

    @property
    def images(self) -> Path:
        """Folder of the images that the problem learns from, for `lop.data.load`."""

    def track(self, **objects: Stateful) -> None:
        """Register all objects on whose state the rest of the run depends; torch's generators are always saved."""

    def steps(self, n: int, unit: str = "steps", stride: int = 1) -> Iterator[int]:
        """Yield the numbers of the remaining steps of n, every `stride`-th one (a divisor of n).

        The metrics are written after the last step. The unit of steps may differ from that of the run's length.
        """

    def log(self, metric: str, step: int, value: float, layer: int = ...) -> None:
        """Log one value of a metric, of a layer or of the whole network."""

    def recent(self, metric: str, n: int) -> list[float]:
        """Return about the last n values of a metric, newest first."""
