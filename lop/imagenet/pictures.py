"""Pictures of the tasks of Continual ImageNet."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from lop.data import load
from lop.data.formats import IMAGENET_CLASSES
from lop.imagenet.problem import classes_until

TASKS, IMAGES, SIZE, GAP, APART = (
    4,
    3,
    32,
    2,
    14,
)  # rows; columns per class; pixels: image, gap between images, gap between classes


def pairs(ax: Axes, images: Path) -> None:
    """Draw the first images of both classes of the first tasks with seed 0 and all classes, one row per task.

    Args:
        ax: axes to draw on.
        images: folder of the set.
    """
    step, right = SIZE + GAP, IMAGES * (SIZE + GAP) + APART
    for place, number in enumerate(classes_until(0, IMAGENET_CLASSES, 2 * TASKS)):
        task, side = divmod(place, 2)
        for column, image in enumerate(load.imagenet_class(images, number).train[:IMAGES]):
            left, top = side * right + column * step, task * step
            ax.imshow(shown(image), extent=(left, left + SIZE, top + SIZE, top), interpolation="nearest")
        if side == 0:
            ax.text(-GAP, task * step + SIZE / 2, f"task {task + 1}", ha="right", va="center")
    ax.set(xlim=(-step, right + IMAGES * step), ylim=(TASKS * step, -GAP))


def shown(image: np.ndarray) -> np.ndarray:
    """Convert a stored image (3, 32, 32) of any range to (32, 32, 3) in [0, 1]."""
    image = image.transpose(1, 2, 0).astype(np.float32)
    low, high = image.min(), image.max()
    result: np.ndarray = (image - low) / max(high - low, 1e-9)
    return result
