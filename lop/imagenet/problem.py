"""Continual ImageNet (figure 1): which classes are told apart in which task, and in which order images are seen.

A run has a random order of the classes, and a task takes the next two (or more) of them. When all are used up, the same
order begins again. The published code has an order for each run in a file; here it comes of the seed.

Nothing of it is stored: the order of the images of an epoch follows from the seed and the epoch's number. Runs of the
same seed see the same tasks, whatever learns from them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lop.data import load
from lop.data.load import LabelledImages


class Task(NamedTuple):
    """Images float32 (n, 3, 32, 32) and labels int64 (n,)."""

    train: LabelledImages
    test: LabelledImages


class Tasks:
    """The tasks of one seed.

    Args:
        seed: all follows from it.
        folder: with the files classes/<number>.npy.
        total_classes: that tasks are made of. num_classes: of a task.
        train_images, test_images: of a class.
    """

    def __init__(
        self, seed: int, folder: Path, total_classes: int, num_classes: int, train_images: int, test_images: int
    ):
        self.seed, self.folder = seed, folder
        self.total_classes, self.num_classes = total_classes, num_classes
        self.train_images, self.test_images = train_images, test_images

    def classes(self, number: int) -> list[int]:
        """Of the task of that number, from 0 on: label i is the i-th of them."""
        first = number * self.num_classes
        return classes_until(self.seed, self.total_classes, first + self.num_classes)[first:]

    def task(self, number: int) -> Task:
        """Read the images of a task, class by class; InputError if a file is missing or damaged."""
        classes = [load.imagenet_class(self.folder, one) for one in self.classes(number)]
        return Task(
            _labelled([images.train[: self.train_images] for images in classes]),
            _labelled([images.test[: self.test_images] for images in classes]),
        )

    def order(self, epoch: int) -> np.ndarray:
        """The order (n,) in which the images of a task are seen in an epoch, counted from the run's first."""
        rng = np.random.default_rng([*_entropy(self.seed), epoch])
        return rng.permutation(self.num_classes * self.train_images)


def classes_until(seed: int, total_classes: int, n: int) -> list[int]:
    """The first n classes that are used."""
    order = np.random.default_rng(_entropy(seed)).permutation(total_classes)
    return np.resize(order, n).tolist()


def _entropy(seed: int) -> list[int]:
    """Of the tasks, which are no other run's: not that of a number near the seed."""
    return np.random.SeedSequence(seed).generate_state(4).tolist()


def _labelled(classes: Sequence[np.ndarray]) -> LabelledImages:
    labels = np.repeat(np.arange(len(classes)), [len(images) for images in classes])
    return LabelledImages(np.concatenate(classes, dtype=np.float32), labels)
