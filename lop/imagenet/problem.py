"""Continual ImageNet (figure 1): classes of each task, and order of the images.

Each run has a random order of the classes. A task consists of the next two (or more) classes; after the last class, the
same order is repeated. The published code reads the order of each run from a file; here it is derived from the seed.

No order is stored: the order of the images in an epoch is derived from the seed and the number of the epoch. Runs with
the same seed see the same tasks, whatever the method.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lop.data import load
from lop.data.load import LabelledImages


class Task(NamedTuple):
    """Task: images float32 (n, 3, 32, 32) and labels int64 (n,)."""

    train: LabelledImages
    test: LabelledImages


class Tasks:
    """Tasks of one seed.

    Args:
        seed: seed of the run.
        folder: folder that contains classes/<number>.npy.
        total_classes: number of classes to draw tasks from.
        num_classes: number of classes per task.
        train_images: number of training images per class.
        test_images: number of test images per class.
    """

    def __init__(
        self, seed: int, folder: Path, total_classes: int, num_classes: int, train_images: int, test_images: int
    ):
        self.seed, self.folder = seed, folder
        self.total_classes, self.num_classes = total_classes, num_classes
        self.train_images, self.test_images = train_images, test_images

    def classes(self, number: int) -> list[int]:
        """Return the classes of a task, numbered from 0; class i of the list has label i."""
        first = number * self.num_classes
        return classes_until(self.seed, self.total_classes, first + self.num_classes)[first:]

    def task(self, number: int) -> Task:
        """Load the images of a task, numbered from 0, sorted by class.

        Raises:
            InputError: a file is missing or damaged.
        """
        classes = [load.imagenet_class(self.folder, one) for one in self.classes(number)]
        return Task(
            _labelled([images.train[: self.train_images] for images in classes]),
            _labelled([images.test[: self.test_images] for images in classes]),
        )

    def order(self, epoch: int) -> np.ndarray:
        """Return the order (n,) of the training images in an epoch, numbered from the start of the run."""
        rng = np.random.default_rng([*_entropy(self.seed), epoch])
        return rng.permutation(self.num_classes * self.train_images)


def classes_until(seed: int, total_classes: int, n: int) -> list[int]:
    """Return the first n classes of the run with a seed, in order of use."""
    order = np.random.default_rng(_entropy(seed)).permutation(total_classes)
    return np.resize(order, n).tolist()


def _entropy(seed: int) -> list[int]:
    """Hash the seed, so that runs with nearby seeds have unrelated random streams."""
    return np.random.SeedSequence(seed).generate_state(4).tolist()


def _labelled(classes: Sequence[np.ndarray]) -> LabelledImages:
    labels = np.repeat(np.arange(len(classes)), [len(images) for images in classes])
    return LabelledImages(np.concatenate(classes, dtype=np.float32), labels)
