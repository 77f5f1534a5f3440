"""Incremental CIFAR-100 (figure 2): which classes are there when, and how images are seen.

A run has a random order of the classes; each increment adds the next five, and all classes so far are learned on. Of a
class's images in the training file the first 50 are for validation. Nothing random is stored: the order of an
epoch's images, and how each is flipped, cropped and turned, follow from the seed and the epoch's number. Runs of the
same seed see the same, whatever learns from them.
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
DROPS = (3, 6, 8)  # tenths of an increment after which the step size is a fifth of what it was


class LabelledTensors(NamedTuple):
    """Images uint8 (n, 3, 32, 32) and labels int64 (n,): the places of their classes among those that are there."""

    images: Tensor
    labels: Tensor

    def to(self, device: str) -> "LabelledTensors":
        return LabelledTensors(self.images.to(device), self.labels.to(device))


class Parts(NamedTuple):
    train: LabelledTensors
    validation: LabelledTensors
    test: LabelledTensors


def class_order(seed: int) -> np.ndarray:
    """The classes (100,) in the order in which a run of that seed gets them."""
    return np.random.default_rng(_entropy(seed)).permutation(CIFAR_CLASSES)


class Increments:
    """The classes and images of one seed, the latter on a device."""

    def __init__(self, seed: int, folder: Path, p: CifarParameters, device: str = "cpu"):
        self.seed, self.p, self.device = seed, p, device
        self.order = class_order(seed)
        self.files = load.cifar100(folder)

    def classes(self, increment: int) -> np.ndarray:
        """The classes that are there in an increment, from 0 on."""
        return self.order[: (increment + 1) * self.p.class_increase]

    def new_classes(self, increment: int) -> np.ndarray:
        """Those that it adds."""
        return self.order[increment * self.p.class_increase : (increment + 1) * self.p.class_increase]

    def parts(self, classes: np.ndarray) -> Parts:
        """The images of some classes, class by class."""
        p, (train, test) = self.p, self.files
        return Parts(
            _chosen(train, classes, HELD_OUT, p.train_images_per_class).to(self.device),
            _chosen(train, classes, 0, p.validation_images_per_class).to(self.device),
            _chosen(test, classes, 0, p.test_images_per_class).to(self.device),
        )

    def rng(self, epoch: int, use: int) -> np.random.Generator:
        """Of an epoch, counted from the run's first; one for each use."""
        return np.random.default_rng([*_entropy(self.seed), epoch, use])


def seen(images: Tensor) -> Tensor:
    """Images uint8 (n, 3, 32, 32) as the network gets them: float32, each channel less its mean, by its deviation."""
    mean, deviation = _normalisation(images.device)
    return ((images.float() / 255 - mean) / deviation).contiguous(memory_format=torch.channels_last)


@cache
def _normalisation(device: torch.device) -> tuple[Tensor, Tensor]:
    return MEAN.to(device), STD.to(device)


def augmented(images: Tensor, rng: np.random.Generator, moves: Callable[..., Tensor] | None = None) -> Tensor:
    """The same, each image flipped or not, cropped from its reflection at its edges, and turned by up to 15 degrees.

    Args:
        images: uint8 (n, 3, 32, 32).
        rng: draws which are flipped, where each is cropped, and angles, in this order.
        moves: instead of `moved`, the same recorded.
    """
    n, device = len(images), images.device
    flip = torch.from_numpy(rng.random(n) < 0.5).to(device)
    corners = torch.from_numpy(rng.integers(0, 2 * PADDING + 1, (2, n))).to(device)
    angles = torch.from_numpy(np.deg2rad(rng.uniform(0, DEGREES, n)).astype(np.float32)).to(device)
    return (moves or moved)(images, flip, corners, angles)


def moved(images: Tensor, flip: Tensor, corners: Tensor, angles: Tensor) -> Tensor:
    """Images `cropped`, `seen` and `turned`."""
    return turned(seen(cropped(images, flip, corners)), angles)


def cropped(images: Tensor, flip: Tensor, corners: Tensor) -> Tensor:
    """Images (n, 3, 32, 32), those of `flip` (n,) mirrored, then each cropped from itself with 4 pixels more on each
    side, reflected, at `corners` (2, n) of row and column, from 0 to 8."""
    place = torch.arange(SIZE, device=images.device) - PADDING
    rows, columns = ((corner[:, None] + place).abs() for corner in corners)  # (n, 32), reflected at the first pixel
    rows, columns = (SIZE - 1 - (SIZE - 1 - axis).abs() for axis in (rows, columns))  # and at the last
    columns = torch.where(flip[:, None], SIZE - 1 - columns, columns)
    n = torch.arange(len(images), device=images.device)[:, None, None]
    return images.permute(0, 2, 3, 1)[n, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def turned(images: Tensor, angles: Tensor) -> Tensor:
    """Images (n, 3, 32, 32) turned anticlockwise about their middle by angles (n,) in radians, to the nearest pixel; 0
    comes in at the corners."""
    cos, sin, zero = torch.cos(angles), torch.sin(angles), torch.zeros_like(angles)
    matrix = torch.stack([torch.stack([cos, -sin, zero], 1), torch.stack([sin, cos, zero], 1)], 1)
    grid = F.affine_grid(matrix, list(images.shape), align_corners=False)
    result = F.grid_sample(images, grid, mode="nearest", padding_mode="zeros", align_corners=False)
    return result.contiguous(memory_format=torch.channels_last)


def step_size(p: CifarParameters, epoch: int) -> float:
    """That of an epoch, counted from the beginning of its increment."""
    drops = sum(10 * epoch >= tenths * p.class_increase_frequency for tenths in DROPS)
    return float(f"{p.stepsize * 0.2**drops:.5g}") if drops else p.stepsize


def _chosen(records: np.ndarray, classes: np.ndarray, first: int, count: int) -> LabelledTensors:
    """Of each class `count` images from the `first` on, in the order of the file."""
    labels = np.asarray(records["fine"])
    chosen = [np.flatnonzero(labels == number)[first : first + count] for number in classes]
    places = np.repeat(np.arange(len(classes)), [len(own) for own in chosen])
    return LabelledTensors(torch.from_numpy(records["image"][np.concatenate(chosen)]), torch.from_numpy(places))


def _entropy(seed: int) -> list[int]:
    """Of what a run sees, which is no other run's: not that of a number near the seed."""
    return np.random.SeedSequence(seed).generate_state(4).tolist()
