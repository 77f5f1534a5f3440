"""Sparse examples, the input of the learners that learn from one example at a time."""

from typing import NamedTuple

import numpy as np


class Examples(NamedTuple):
    """Sparse examples: example e has the non-zero inputs values[start[e]:start[e + 1]] at the same slice of indices.

    The arrays must not be changed after a learner has used them.
    """

    start: np.ndarray  #: (examples + 1,) int64
    indices: np.ndarray  #: int64, ascending within an example
    values: np.ndarray  #: float32
    targets: np.ndarray  #: (examples,) float32


def examples(inputs: np.ndarray, targets: np.ndarray) -> Examples:
    """Convert dense examples to sparse ones.

    Args:
        inputs: inputs (examples, inputs).
        targets: targets (examples,).

    Raises:
        ValueError: If the shapes do not match.
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets, np.float32)
    if inputs.ndim != 2 or targets.shape != inputs.shape[:1]:
        raise ValueError(f"inputs and targets must have shapes (n, inputs), (n,), got {inputs.shape}, {targets.shape}")
    rows, columns = np.nonzero(inputs)
    start = np.searchsorted(rows, np.arange(len(inputs) + 1))
    return Examples(start, np.ascontiguousarray(columns), inputs[rows, columns].astype(np.float32), targets)


def dense(stream: Examples, order: np.ndarray, inputs: int) -> np.ndarray:
    """Return the inputs of examples as a dense array.

    Args:
        stream: examples.
        order: indices of the examples (n,).
        inputs: number of inputs.

    Returns:
        Inputs (n, inputs), float32.
    """
    out = np.zeros((len(order), inputs), np.float32)
    lengths = stream.start[order + 1] - stream.start[order]
    ends = np.cumsum(lengths)
    positions = np.arange(lengths.sum()) + np.repeat(stream.start[order] - (ends - lengths), lengths)
    out[np.repeat(np.arange(len(order)), lengths), stream.indices[positions]] = stream.values[positions]
    return out
