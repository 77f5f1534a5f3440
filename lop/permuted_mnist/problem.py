"""Online permuted MNIST (Extended Data figures 3 and 4): which examples are seen, and in which order.

A task permutes the pixels of all 60,000 images alike and goes through the images in a random order, once; a task of
more examples begins again. The published code permutes the last task's pixels and order further: that is any
permutation with the same probability, so here each task's are drawn on their own, from the seed and its number.
Nothing is stored, and runs of the same seed see the same examples, whatever learns from them.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from lop.data.load import LabelledImages
from lop.engines.online.learner import Examples

SHADES = np.arange(256, dtype=np.float32) / np.float32(255)


class Task(NamedTuple):
    """What is seen between two changes."""

    number: int
    pixels: np.ndarray  # (784,): input j is this pixel
    order: np.ndarray  # (examples,): the images seen


class Stream:
    """The examples of one seed.

    Args:
        seed: all tasks follow from it.
        labelled: images uint8 (n, 28, 28) and labels.
        change_after: examples of a task.
    """

    def __init__(self, seed: np.random.SeedSequence, labelled: LabelledImages, change_after: int):
        self.entropy = seed.generate_state(4).tolist()
        self.images = labelled.images.reshape(len(labelled.images), -1)
        self.labels = labelled.labels
        self.change_after = change_after
        self._task: Task | None = None
        self._examples: Examples | None = None

    def task(self, number: int) -> Task:
        """The task of that number, from 0 on."""
        rng = np.random.default_rng([*self.entropy, number])
        pixels, images = rng.permutation(self.images.shape[1]), rng.permutation(len(self.images))
        return Task(number, pixels, np.resize(images, self.change_after))

    def inputs(self, step: int, n: int) -> np.ndarray:
        """The n inputs from example `step` on, of one task: float32 (n, 784) between 0 and 1."""
        task, first = self._at(step)
        return self.images[task.order[first : first + n]][:, task.pixels] / np.float32(255)

    def examples(self, step: int, n: int) -> tuple[Examples, np.ndarray]:
        """The n examples from example `step` on, of one task: the task's images, and which of them, (n,)."""
        task, first = self._at(step)
        seen = min(len(task.order), len(self.images))
        if self._examples is None:
            self._examples = sparse(self.images, self.labels, task.order[:seen], task.pixels)
        return self._examples, np.arange(first, first + n) % seen

    def _at(self, step: int) -> tuple[Task, int]:
        number, first = divmod(step, self.change_after)
        if self._task is None or self._task.number != number:
            self._task, self._examples = self.task(number), None
        return self._task, first


def sparse(images: np.ndarray, labels: np.ndarray, order: np.ndarray, pixels: np.ndarray) -> Examples:
    """The images of that order, pixels permuted, divided by 255, by what is not zero."""
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(images[order], 1))])
    indices, values = np.empty(start[-1] + 1, np.int64), np.empty(start[-1] + 1, np.float32)
    _gather(images, order, pixels, SHADES, indices, values)
    return Examples(start, indices[:-1], values[:-1], labels[order].astype(np.float32))


@njit(cache=True)
def _gather(images, order, pixels, shades, indices, values):
    """Without a branch, which would be mispredicted for many pixels: what is zero is written over."""
    k = 0
    for image in order:
        for j in range(len(pixels)):
            value = images[image, pixels[j]]
            indices[k], values[k] = j, shades[value]
            k += value != 0
