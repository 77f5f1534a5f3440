"""Steps that a GPU repeats by itself.

A small network's step is over before Python has told the GPU of its hundreds of kernels. Recorded once, as a CUDA
graph, the step is told in one word. It computes what it computed before, bit for bit.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

ALIKE = 2  # steps of a kind before one is recorded; the first makes the optimizer's state


class Recorded:
    """A function of tensors on a CUDA device that is recorded, and then repeated as long as its inputs are alike.

    Its first steps, and a last minibatch that is smaller, are done as ever.

    Args:
        step: does the same whatever is in its inputs, with the same numbers beside them, such as a step size. All that
            it changes it changes in place; nothing goes to the CPU or comes from there, random numbers neither. What a
            repeated step returns is overwritten by the next one.

    Example::

        descend = Recorded(learner.descend)
        for x, y in minibatches:
            loss, output, hidden = descend(x, y)
    """

    def __init__(self, step: Callable[..., Any]):
        self.step = step
        self.stream: torch.cuda.Stream | None = None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.recorded: list | None = None
        self.latest: list | None = None
        self.alike = 0
        self.inputs: Sequence[Tensor] = ()
        self.answer: Any = None

    def __call__(self, *inputs: Tensor) -> Any:
        """One step."""
        kind = [(x.shape, x.stride(), x.dtype) for x in inputs]
        if kind != self.recorded:
            self.alike = self.alike + 1 if kind == self.latest else 1
            self.latest = kind
            if self.alike <= ALIKE:
                return self._aside(self.step, *inputs)
            self._record(inputs)
            self.recorded = kind
        self.latest = None
        for place, x in zip(self.inputs, inputs, strict=True):
            place.copy_(x)
        assert self.graph
        self.graph.replay()
        return self.answer

    def _record(self, inputs: Sequence[Tensor]) -> None:
        self.recorded = self.graph = self.answer = None  # what they hold is freed first
        self.inputs = [x.clone() for x in inputs]
        graph = torch.cuda.CUDAGraph()

        def capture() -> Any:
            with torch.cuda.graph(graph, stream=self.stream):
                return self.step(*self.inputs)

        self.answer = self._aside(capture)
        self.graph = graph

    def _aside(self, do: Callable[..., Any], *inputs: Tensor) -> Any:
        """Do something on a stream of its own, as none is recorded on the default one, between what is before and
        after it."""
        device = (inputs or self.inputs)[0].device
        self.stream = self.stream or torch.cuda.Stream(device)
        outer = torch.cuda.current_stream(device)
        self.stream.wait_stream(outer)
        with torch.cuda.stream(self.stream):
            answer = do(*inputs)
        outer.wait_stream(self.stream)
        return answer
