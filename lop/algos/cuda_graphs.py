"""Steps that a GPU repeats by itself.

A small network's step is over before Python has told the GPU of its hundreds of kernels. GraphedStep once, as a CUDA
graph, the step is told in one word. It computes what it computed before, bit for bit.
"""

from collections.abc import Callable, Sequence
from inspect import ismethod
from typing import Any, NamedTuple
from weakref import WeakMethod

import torch
from torch import Tensor

ALIKE = 2  # steps of a kind before one is recorded; the first makes the optimizer's state
KINDS = 2  # that are kept: an epoch's last minibatch may be smaller than the others


class GraphedStep:
    """A function of tensors on a CUDA device that is recorded, and then repeated as long as its inputs are of a kind.

    Args:
        step: does the same whatever is in its inputs. All that it changes it changes in place; nothing goes to the CPU
            or comes from there, random numbers neither. What a repeated step returns is overwritten by the next one of
            its kind. A method is held weakly, so that its object may hold this.
        optimizer: what `step` learns by. When its step size changes, say, steps are recorded anew; not when its state,
            or a parameter, becomes another tensor: load states before the first step.

    Example::

        descend = GraphedStep(descend, optimizer)
        for x, y in minibatches:
            loss = descend(x, y)
    """

    def __init__(self, step: Callable[..., Any], optimizer: torch.optim.Optimizer | None = None):
        self._step: Callable[[], Any] = WeakMethod(step) if ismethod(step) else lambda: step
        self._optimizer = optimizer
        self._numbers: list[dict] = []
        self._known: dict[Any, int | Recording] = {}  # by kind: steps done, then the recording
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """One step."""
        numbers = self._numbers_now()
        if numbers != self._numbers:
            self._numbers = numbers
            self._known.clear()
        kind = tuple((x.shape, x.stride(), x.dtype, x.device) for x in inputs)
        known = self._known.pop(kind, 0)
        if isinstance(known, int) and known >= ALIKE:
            known = self._record(inputs)
        while len(self._known) >= KINDS:
            del self._known[next(iter(self._known))]  # of the kind that was longest ago
        self._known[kind] = known + 1 if isinstance(known, int) else known
        return self._aside(self._step(), inputs) if isinstance(known, int) else known.replay(inputs)

    def _numbers_now(self) -> list[dict]:
        groups = self._optimizer.param_groups if self._optimizer else []
        return [{key: value for key, value in group.items() if key != "params"} for group in groups]

    def _record(self, inputs: Sequence[Tensor]) -> "Recording":
        places = [x.clone() for x in inputs]
        graph = torch.cuda.CUDAGraph()

        def capture(*places: Tensor) -> Any:
            with torch.cuda.graph(graph, stream=self._stream):
                return self._step()(*places)

        return Recording(graph, places, self._aside(capture, places))

    def _aside(self, do: Callable[..., Any], inputs: Sequence[Tensor]) -> Any:
        """Do it on a stream of its own, as none is recorded on the default one, between what is before and after."""
        device = inputs[0].device
        self._stream = self._stream or torch.cuda.Stream(device)
        outer = torch.cuda.current_stream(device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            answer = do(*inputs)
        outer.wait_stream(self._stream)
        return answer


class Recording(NamedTuple):
    """A step, the tensors that it takes, and those that it gives."""

    graph: torch.cuda.CUDAGraph
    places: list[Tensor]
    answer: Any

    def replay(self, inputs: Sequence[Tensor]) -> Any:
        for place, x in zip(self.places, inputs, strict=True):
            place.copy_(x)
        self.graph.replay()
        return self.answer
