"""Picture of the increments of CIFAR-100."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from lop.data import load
from lop.incremental_cifar.problem import class_order

INCREMENTS, ADDED, SIZE, GAP = 10, 5, 32, 3  # columns; rows; pixels: image, gap between images


def increments(ax: Axes, images: Path) -> None:
    """Draw the first image of each class that the first increments with seed 0 add, one column per increment.

    Args:
        ax: axes to draw on.
        images: folder of the set.
    """
    records, _ = load.cifar100(images)
    labels, step = np.asarray(records["fine"]), SIZE + GAP
    for place, number in enumerate(class_order(0)[: INCREMENTS * ADDED]):
        column, row = divmod(place, ADDED)
        image = records["image"][np.flatnonzero(labels == number)[0]].transpose(1, 2, 0)
        left, top = column * step, row * step
        ax.imshow(image, extent=(left, left + SIZE, top + SIZE, top), interpolation="nearest")
    for column in range(INCREMENTS):
        ax.text(column * step + SIZE / 2, ADDED * step, f"{(column + 1) * ADDED}", ha="center", va="top")
    ax.text(INCREMENTS * step / 2, ADDED * step + SIZE / 2, "Classes", ha="center", va="top")
    ax.set(xlim=(-GAP, INCREMENTS * step), ylim=(ADDED * step + SIZE, -GAP))
