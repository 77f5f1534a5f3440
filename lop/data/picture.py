"""Picture of the built-in sets in docs/data.md: `python -m lop.data.picture docs/glyphs.png`."""

from pathlib import Path

import numpy as np
from PIL import Image

from lop.common.arguments import Parser
from lop.common.errors import told_in_one_line
from lop.common.files import atomic_file
from lop.data.glyphs import CIFAR100, IMAGENET, MNIST, Look, images, stream

ROWS, COLUMNS = 4, 20  # images per set
CELL = 34  # side in pixels of the cell around an image
GAP = 10  # pixels between two sets


def sheet(look: Look, seed: int = 0) -> np.ndarray:
    """Draw images from all over the classes of one set, on white: uint8 (ROWS * CELL, COLUMNS * CELL, 3)."""
    labels = np.arange(ROWS * COLUMNS) * len(look.characters) // (ROWS * COLUMNS)
    if len(look.characters) < COLUMNS:
        labels = np.arange(ROWS * COLUMNS) % len(look.characters)
    x = np.repeat(images(look, labels, stream(look, seed)), 3 // look.channels, axis=1)
    before = (CELL - look.side) // 2
    around = (before, CELL - look.side - before)
    x = np.pad(x, ((0, 0), (0, 0), around, around), constant_values=255)
    return x.reshape(ROWS, COLUMNS, 3, CELL, CELL).transpose(0, 3, 1, 4, 2).reshape(ROWS * CELL, COLUMNS * CELL, 3)


def draw(path: Path) -> None:
    """Write samples of the three built-in sets, stacked vertically, to a PNG file with 128 colours."""
    gap = np.full((GAP, COLUMNS * CELL, 3), 255, np.uint8)
    sheets = [part for look in (MNIST, CIFAR100, IMAGENET) for part in (sheet(look), gap)][:-1]
    picture = Image.fromarray(np.concatenate(sheets)).quantize(128)
    with atomic_file(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


if __name__ == "__main__":
    with told_in_one_line():
        parser = Parser(prog="python -m lop.data.picture", description="draw samples of the built-in sets")
        parser.add_argument("output", type=Path, help="PNG file to write")
        draw(parser.parse_args().output)
