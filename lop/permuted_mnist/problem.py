"""Online permuted MNIST (Extended Data figures 3 and 4): the examples and their order.

Each task applies one permutation of pixels to all 60,000 images and presents them once in a random order; longer tasks
repeat this order. The published code composes each permutation with that of the previous task. The result is uniformly
distributed, so each task draws independent permutations here, from the seed and the number of the task. Nothing is
stored, and runs with the same seed see the same examples, whatever the method.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from lop.algos.examples import Examples
from lop.data.load import LabelledImages

SHADES = np.arange(256, dtype=np.float32) / np.float32(255)


class Task(NamedTuple):
    """Task: permutation of the pixels and order of the images."""

    number: int
    pixels: np.ndarray  # (784,): pixel that is input j
    order: np.ndarray  # (examples,): indices of the images


class Stream:
    """Examples of one seed.

    Args:
        seed: seed of all tasks.
        labelled: images uint8 (n, 28, 28) and labels.
        change_after: number of examples per task.
    """

    def __init__(self, seed: np.random.SeedSequence, labelled: LabelledImages, change_after: int):
        self.entropy = seed.generate_state(4).tolist()
        self.images = labelled.images.reshape(len(labelled.images), -1)
        self.labels = labelled.labels
        self.change_after = change_after
        self._task: Task | None = None
        self._examples: Examples | None = None

    def task(self, number: int) -> Task:
        """Return a task, numbered from 0."""
        rng = np.random.default_rng([*self.entropy, number])
        pixels, images = rng.permutation(self.images.shape[1]), rng.permutation(len(self.images))
        return Task(number, pixels, np.resize(images, self.change_after))

    def inputs(self, step: int, n: int) -> np.ndarray:
        """Return the next n inputs, which must belong to one task.

        Args:
            step: number of the first example, from 0.
            n: number of examples.

        Returns:
            Inputs (n, 784), float32 in [0, 1].
        """
        task, first = self._at(step)
        return self.images[task.order[first : first + n]][:, task.pixels] / np.float32(255)

    def examples(self, step: int, n: int) -> tuple[Examples, np.ndarray]:
        """Return the next n examples, which must belong to one task.

        Args:
            step: number of the first example, from 0.
            n: number of examples.

        Returns:
            All examples of the task, each image once, and indices (n,) into them.
        """
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
    """Return images as sparse examples with permuted pixels, divided by 255.

    Args:
        images: images uint8 (images, 784).
        labels: labels (images,).
        order: indices of the images in the order of the examples.
        pixels: permutation (784,); input j is pixel `pixels[j]`.
    """
    start = np.concatenate([[0], np.cumsum(np.count_nonzero(images[order], 1))])
    indices, values = np.empty(start[-1] + 1, np.int64), np.empty(start[-1] + 1, np.float32)
    _gather(images, order, pixels, SHADES, indices, values)
    return Examples(start, indices[:-1], values[:-1], labels[order].astype(np.float32))


@njit(cache=True)
def _gather(images, order, pixels, shades, indices, values):
    """Gather nonzero pixels without a branch, which would often be mispredicted: zeros are overwritten."""
    k = 0
    for image in order:
        for j in range(len(pixels)):
            value = images[image, pixels[j]]
            indices[k], values[k] = j, shades[value]
            k += value != 0
