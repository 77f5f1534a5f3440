"""Incremental CIFAR-100 (figure 2): classes of each increment, order and augmentation of the images.

Each run has a random order of the classes. An increment adds the next classes, five by default, and the network trains
on all classes so far. The first 50 images of each class in the training file are for validation. The order and the
augmentation of the images in an epoch are not stored, but derived from the seed and the number of the epoch. Runs with
the same seed see the same images, whatever the method.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from lop.data import load
from lop.incremental_cifar.parameters import CIFAR_CLASSES, HELD_OUT, CifarParameters

MEAN = torch.tensor([0.5071, 0.4865, 0.4409]).view(3, 1, 1)
STD = torch.tensor([0.2673, 0.2564, 0.2762]).view(3, 1, 1)
PADDING, DEGREES, SIZE = 4, 15.0, 32
DROPS = (3, 6, 8)  # tenths of an increment after which the step size is multiplied by 0.2


class LabelledTensors(NamedTuple):
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,): positions in the list of classes that selected the images."""

    images: Tensor
    labels: Tensor

    def to(self, device: str) -> "LabelledTensors":
        """Return the images and labels on a device."""
        return LabelledTensors(self.images.to(device), self.labels.to(device))


class Parts(NamedTuple):
    """Training, validation and test images of some classes."""

    train: LabelledTensors
    validation: LabelledTensors
    test: LabelledTensors


def class_order(seed: int) -> np.ndarray:
    """Return all classes (100,) in the order in which the run with a seed adds them."""
    return np.random.default_rng(_entropy(seed)).permutation(CIFAR_CLASSES)


class Increments:
    """Increments of one seed.

    Args:
        seed: seed of the run.
        folder: folder of the set.
        p: parameters of the run.
        device: device of the images.
    """

    def __init__(self, seed: int, folder: Path, p: CifarParameters, device: str = "cpu"):
        self.seed, self.p, self.device = seed, p, device
        self.order = class_order(seed)
        self.files = load.cifar100(folder)

    def classes(self, increment: int) -> np.ndarray:
        """Return the classes so far in an increment, numbered from 0."""
        return self.order[: (increment + 1) * self.p.class_increase]

    def new_classes(self, increment: int) -> np.ndarray:
        """Return the classes that an increment adds, numbered from 0."""
        return self.order[increment * self.p.class_increase : (increment + 1) * self.p.class_increase]

    def parts(self, classes: np.ndarray) -> Parts:
        """Return the images of some classes, sorted by class, on the device."""
        p, (train, test) = self.p, self.files
        return Parts(
            _chosen(train, classes, HELD_OUT, p.train_images_per_class).to(self.device),
            _chosen(train, classes, 0, p.validation_images_per_class).to(self.device),
            _chosen(test, classes, 0, p.test_images_per_class).to(self.device),
        )

    def rng(self, epoch: int, use: int) -> np.random.Generator:
        """Return the generator for one use in an epoch, numbered from the start of the run."""
        return np.random.default_rng([*_entropy(self.seed), epoch, use])


def seen(images: Tensor) -> Tensor:
    """Standardise the channels of images, uint8 (n, 3, 32, 32), to float32 in channels-last format."""
    mean, deviation = _normalisation(images.device)
    return ((images.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)


@cache
def _normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    return MEAN.to(device), STD.to(device)


def augmented(images: Tensor, rng: np.random.Generator, moves: Callable[..., Tensor] | None = None) -> Tensor:
    """Flip, crop, standardise and rotate images at random.

    Images are flipped with probability 0.5, cropped at random after reflection padding by 4 pixels, and rotated by 0 to
    15 degrees.

    Args:
        images: uint8 (n, 3, 32, 32).
        rng: generator; draws flips, corners and angles, in this order.
        moves: function used instead of `moved`, such as `moved` as a CUDA graph.

    Returns:
        Images (n, 3, 32, 32), float32, standardised as by `seen`.
    """
    n, device = len(images), images.device
    flip = torch.from_numpy(rng.random(n) < 0.5).to(device)
    corners = torch.from_numpy(rng.integers(0, 2 * PADDING + 1, (2, n))).to(device)
    angles = torch.from_numpy(np.deg2rad(rng.uniform(0, DEGREES, n)).astype(np.float32)).to(device)
    return (moves or moved)(images, flip, corners, angles)


def moved(images: Tensor, flip: Tensor, corners: Tensor, angles: Tensor) -> Tensor:
    """Apply `cropped`, `seen` and `turned` to images."""
    return turned(seen(cropped(images, flip, corners)), angles)


def cropped(images: Tensor, flip: Tensor, corners: Tensor) -> Tensor:
    """Flip images horizontally, then crop them after reflection padding by 4 pixels.

    Args:
        images: images (n, 3, 32, 32).
        flip: whether to flip each image, bool (n,).
        corners: row and column of the crop in each padded image, integers (2, n) from 0 to 8.

    Returns:
        Images (n, 3, 32, 32).
    """
    place = torch.arange(SIZE, device=images.device) - PADDING
    rows, columns = ((corner[:, None] + place).abs() for corner in corners)  # (n, 32), reflected at the first pixel
    rows, columns = (SIZE - 1 - (SIZE - 1 - axis).abs() for axis in (rows, columns))  # and at the last
    columns = torch.where(flip[:, None], SIZE - 1 - columns, columns)
    n = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[n, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def turned(images: Tensor, angles: Tensor) -> Tensor:
    """Rotate images about their centres, with nearest-neighbour interpolation and zeros outside.

    Args:
        images: images (n, 3, 32, 32).
        angles: angles (n,) in radians, anticlockwise.

    Returns:
        Images (n, 3, 32, 32).
    """
    cos, sin, zero = torch.cos(angles), torch.sin(angles), torch.zeros_like(angles)
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    result = F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return result.contiguous(memory_format=torch.channels_last)


def step_size(p: CifarParameters, epoch: int) -> float:
    """Return the step size in an epoch, numbered from the start of its increment."""
    drops = sum(10 * epoch >= tenths * p.class_increase_frequency for tenths in DROPS)
    return float(f"{p.stepsize * 0.2**drops:.5g}") if drops else p.stepsize


def _chosen(records: np.ndarray, classes: np.ndarray, first: int, count: int) -> LabelledTensors:
    """Return `count` images of each class, from number `first` on in the order of the file."""
    labels = np.asarray(records["fine"])
    chosen = [np.flatnonzero(labels == number)[first : first + count] for number in classes]
    places = np.repeat(np.arange(len(classes)), [len(own) for own in chosen])
    return LabelledTensors(torch.from_numpy(records["image"][np.concatenate(chosen)]), torch.from_numpy(places))


def _entropy(seed: int) -> list[int]:
    """Hash the seed, so that runs with nearby seeds have unrelated random streams."""
    return np.random.SeedSequence(seed).generate_state(4).tolist()
