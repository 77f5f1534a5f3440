"""Picture of the examples of online permuted MNIST."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from lop.data import load
from lop.permuted_mnist.problem import Stream

TASKS, DIGITS, GAP = 4, 5, 4  # rows; columns; pixels between images


def permutations(ax: Axes, images: Path) -> None:
    """Draw one image of each of the first digits, and below it the same image as permuted in the first tasks of seed 0.

    Args:
        ax: axes to draw on.
        images: folder of the set.
    """
    train = load.mnist(images).train
    chosen = [int(np.argmax(train.labels == digit)) for digit in range(DIGITS)]
    stream = Stream(np.random.SeedSequence(0), train, len(train.images))
    rows = {"images": train.images[chosen]}
    rows |= {f"task {n + 1}": stream.images[chosen][:, stream.task(n).pixels] for n in range(TASKS)}
    step = train.images.shape[1] + GAP
    for row, (name, shown) in enumerate(rows.items()):
        ax.text(-GAP, row * step + step / 2 - GAP / 2, name, ha="right", va="center")
        for column, image in enumerate(shown.reshape(DIGITS, 28, 28)):
            left, top = column * step, row * step
            ax.imshow(image, cmap="gray_r", extent=(left, left + 28, top + 28, top), interpolation="nearest")
    ax.set(xlim=(-3 * step / 2, DIGITS * step), ylim=(len(rows) * step, -GAP))
