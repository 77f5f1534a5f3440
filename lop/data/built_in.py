"""Files of the built-in sets, in the formats of the original data sets.

The folder of a built-in set is named by a digest of its seed and of the code of this module and its imports (see
`lop.data.sets`).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from lop.data.formats import CLASS_SHAPE, write_class, write_idx, write_records
from lop.data.glyphs import CIFAR100, IMAGENET, MNIST, Look, images, stream

BLOCK = 1000  # images per random stream; every class is equally frequent among them
PARTS = {"train": 0, "test": 1}
CENTRE = np.float32(0.46)  # mean of each channel over the images of IMAGENET, on a scale from 0 to 1


def block(look: Look, seed: int, part: str, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw one block of images.

    Args:
        look: image distribution of the set.
        seed: seed of the set.
        part: `train` or `test`.
        index: number of the block within the part.

    Returns:
        Images (1000, channels, side, side) and labels (1000,), both uint8.
    """
    rng = stream(look, seed, PARTS[part], index)
    labels = rng.permutation(BLOCK) % len(look.characters)
    return images(look, labels, rng), labels.astype(np.uint8)


def write_mnist(folder: Path, seed: int) -> None:
    """Write 60,000 training and 10,000 test digits of 28 by 28 pixels as the four files of MNIST."""
    for name, part, count in (("train", "train", 60_000), ("t10k", "test", 10_000)):
        blocks = [block(MNIST, seed, part, index) for index in range(count // BLOCK)]
        write_idx(folder / f"{name}-images-idx3-ubyte.gz", np.concatenate([x for x, _ in blocks])[:, 0])
        write_idx(folder / f"{name}-labels-idx1-ubyte.gz", np.concatenate([y for _, y in blocks]))


def write_cifar100(folder: Path, seed: int) -> None:
    """Write 50,000 training and 10,000 test images of 3 by 32 by 32 as train.bin and test.bin of CIFAR-100."""

    def records(part: str, count: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for index in range(count // BLOCK):
            x, fine = block(CIFAR100, seed, part, index)
            yield fine // 5, fine, x

    write_records(folder / "train.bin", records("train", 50_000))
    write_records(folder / "test.bin", records("test", 10_000))


def class_images(number: int, seed: int, count: int = CLASS_SHAPE[0]) -> np.ndarray:
    """Draw the first `count` images of one of 1,000 classes: float32 (count, 3, 32, 32), centred, in [-1, 1]."""
    x = images(IMAGENET, np.full(CLASS_SHAPE[0], number), stream(IMAGENET, seed, number))[:count]
    return x.astype(np.float32) / np.float32(255) - CENTRE


def write_imagenet_class(folder: Path, number: int, seed: int) -> None:
    """Write the images of one class to classes/<number>.npy."""
    write_class(folder / "classes" / f"{number}.npy", class_images(number, seed))
