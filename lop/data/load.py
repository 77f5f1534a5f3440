"""The sets as arrays, alike from both sources.

Files of records are mapped into memory: runs side by side share them. MNIST is unpacked into memory by each run, 55 MB
in half a second, so that no second copy has to be kept true to the first.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lop.data.formats import CLASS_TRAIN, read_cifar100, read_class, read_idx


class LabelledImages(NamedTuple):
    """Images and their labels, read only."""

    images: np.ndarray
    labels: np.ndarray


class Mnist(NamedTuple):
    """Images uint8 (60000 or 10000, 28, 28), labels uint8 of 0 to 9."""

    train: LabelledImages
    test: LabelledImages


class Cifar100(NamedTuple):
    """Records with the fields `image` uint8 (3, 32, 32), `fine` uint8 of 0 to 99 and `coarse` uint8 of 0 to 19."""

    train: np.ndarray  # (50000,)
    test: np.ndarray  # (10000,)


class ImagenetClass(NamedTuple):
    """One class's images, floats between -1 and 1, centred."""

    train: np.ndarray  # (600, 3, 32, 32)
    test: np.ndarray  # (100, 3, 32, 32)


def mnist(folder: Path) -> Mnist:
    """MNIST's four files in a folder; InputError if one is missing or damaged."""

    def part(name: str, count: int) -> LabelledImages:
        images = read_idx(folder / f"{name}-images-idx3-ubyte.gz", (count, 28, 28))
        return LabelledImages(images, read_idx(folder / f"{name}-labels-idx1-ubyte.gz", (count,), labels=10))

    return Mnist(part("train", 60_000), part("t10k", 10_000))


def cifar100(folder: Path) -> Cifar100:
    """CIFAR-100's train.bin and test.bin in a folder; InputError if one is missing or damaged."""
    return Cifar100(read_cifar100(folder / "train.bin", 50_000), read_cifar100(folder / "test.bin", 10_000))


def imagenet_class(folder: Path, number: int) -> ImagenetClass:
    """One of the classes 0 to 999 in a folder's `classes`; InputError if its file is missing or damaged."""
    images = read_class(folder / "classes" / f"{number}.npy")
    return ImagenetClass(images[:CLASS_TRAIN], images[CLASS_TRAIN:])
