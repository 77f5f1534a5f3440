"""Image sets as arrays, read in the same way from both sources.

The files of CIFAR-100 and ImageNet are mapped into memory, which concurrent runs share. Each run decompresses MNIST
into memory (55 MB, half a second), so that no decompressed copy has to be kept up to date.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from lop.data.formats import CLASS_TRAIN, read_cifar100, read_class, read_idx


class LabelledImages(NamedTuple):
    """Images and labels, read-only."""

    images: np.ndarray
    labels: np.ndarray


class Mnist(NamedTuple):
    """MNIST: images uint8 (60000 or 10000, 28, 28) and labels uint8, 0 to 9."""

    train: LabelledImages
    test: LabelledImages


class Cifar100(NamedTuple):
    """CIFAR-100: records with the uint8 fields `image` (3, 32, 32), `fine` (0 to 99) and `coarse` (0 to 19)."""

    train: np.ndarray  #: (50000,)
    test: np.ndarray  #: (10000,)


class ImagenetClass(NamedTuple):
    """Centred images of one ImageNet class, floats in [-1, 1]."""

    train: np.ndarray  #: (600, 3, 32, 32)
    test: np.ndarray  #: (100, 3, 32, 32)


def mnist(folder: Path) -> Mnist:
    """Load the four files of MNIST in a folder.

    Raises:
        InputError: a file is missing or damaged.
    """

    def part(name: str, count: int) -> LabelledImages:
        images = read_idx(folder / f"{name}-images-idx3-ubyte.gz", (count, 28, 28))
        return LabelledImages(images, read_idx(folder / f"{name}-labels-idx1-ubyte.gz", (count,), labels=10))

    return Mnist(part("train", 60_000), part("t10k", 10_000))


def cifar100(folder: Path) -> Cifar100:
    """Load train.bin and test.bin of CIFAR-100 in a folder.

    Raises:
        InputError: a file is missing or damaged.
    """
    return Cifar100(read_cifar100(folder / "train.bin", 50_000), read_cifar100(folder / "test.bin", 10_000))


def imagenet_class(folder: Path, number: int) -> ImagenetClass:
    """Load classes/<number>.npy, with a number from 0 to 999, in a folder.

    Raises:
        InputError: the file is missing or damaged.
    """
    images = read_class(folder / "classes" / f"{number}.npy")
    return ImagenetClass(images[:CLASS_TRAIN], images[CLASS_TRAIN:])
