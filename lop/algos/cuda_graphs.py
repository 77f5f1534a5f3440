"""Capture training steps as CUDA graphs and replay them.

A step of a small network consists of hundreds of kernels, and launching them from Python takes longer than running
them. A captured step is launched at once. Its results are bit-identical to those of the step without CUDA graphs.
"""

from collections.abc import Callable, Sequence
from inspect import ismethod
from typing import Any, NamedTuple
from weakref import WeakMethod

import torch
from torch import Tensor

ALIKE = 2  # steps per signature before one is captured; the first creates the optimizer's state
KINDS = 2  # signatures to keep: the last minibatch of an epoch may be smaller than the others


class GraphedStep:
    """Function of tensors on a CUDA device that is captured as a CUDA graph and replayed.

    One graph is captured per signature of the inputs: shapes, strides, dtypes and devices.

    Args:
        step: function that launches the same kernels whatever the values of its inputs. It must change tensors in place
            only, transfer nothing between CPU and GPU, and draw no random numbers on the CPU. Each replay overwrites
            the results of the previous one with the same signature. A method is held by a weak reference, so that its
            object may hold this one.
        optimizer: optimizer that `step` uses. Graphs are captured again when one of its hyperparameters changes, such
            as the step size, but not when its state or a parameter becomes another tensor: load states before the first
            step.

    Example::

        descend = GraphedStep(descend, optimizer)
        for x, y in minibatches:
            loss = descend(x, y)
    """

    def __init__(self, step: Callable[..., Any], optimizer: torch.optim.Optimizer | None = None):
        self._step: Callable[[], Any] = WeakMethod(step) if ismethod(step) else lambda: step
        self._optimizer = optimizer
        self._numbers: list[dict] = []
        self._known: dict[Any, int | Recording] = {}  # by signature: number of steps, then the graph
        self._stream: torch.cuda.Stream | None = None

    def __call__(self, *inputs: Tensor) -> Any:
        """Take one step, and return what `step` returns."""
        numbers = self._numbers_now()
        if numbers != self._numbers:
            self._numbers = numbers
            self._known.clear()
        kind = tuple((x.shape, x.stride(), x.dtype, x.device) for x in inputs)
        known = self._known.pop(kind, 0)
        if isinstance(known, int) and known >= ALIKE:
            known = self._record(inputs)
        while len(self._known) >= KINDS:
            del self._known[next(iter(self._known))]  # least recently used
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
        """Call `do` on a separate stream, since CUDA cannot capture the default one, and synchronise both."""
        device = inputs[0].device
        self._stream = self._stream or torch.cuda.Stream(device)
        outer = torch.cuda.current_stream(device)
        self._stream.wait_stream(outer)
        with torch.cuda.stream(self._stream):
            answer = do(*inputs)
        outer.wait_stream(self._stream)
        return answer


class Recording(NamedTuple):
    """Captured graph with its input tensors and its results."""

    graph: torch.cuda.CUDAGraph
    places: list[Tensor]
    answer: Any

    def replay(self, inputs: Sequence[Tensor]) -> Any:
        """Copy `inputs` to the graph's input tensors, replay the graph, and return its results."""
        for place, x in zip(self.places, inputs, strict=True):
            place.copy_(x)
        self.graph.replay()
        return self.answer
