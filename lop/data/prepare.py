"""Make the files of a set: drawn, downloaded, or taken from a folder of the user's."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from lop.data import built_in, originals
from lop.data.checksums import Checksums
from lop.data.sets import CLASSES, DATA, files, folder_of
from lop.errors import InputError
from lop.files import remove_leftovers
from lop.runs.lock import locked

# Of every file: those that were deleted and made again are no news to the runs that have learned from them. What makes
# them is among the runs' parameters.
MADE = datetime(2000, 1, 1, tzinfo=UTC).timestamp()


def prepare(
    name: str,
    source: str,
    seed: int = 0,
    classes: Iterable[int] = range(CLASSES),
    supplied: Path | None = None,
    data: Path = DATA,
) -> list[Path]:
    """Make a set's files anew, all of the time `MADE`; returns them.

    InputError, and no file of a wrong content, if that fails.

    seed: of the built-in images; of the choice of images from the official ImageNet. classes: those of the built-in
    ImageNet that are needed; the originals come whole. supplied: the user's folder, for source `original`.
    """
    folder = folder_of(name, source, data)
    wanted = files(name, source, classes, data)
    if source == "glyphs" and supplied is not None:
        raise InputError("data.folder: only data.source original is taken from a folder")
    if seed < 0:
        raise InputError(f"seed of data: found {seed}, allowed: 0 or more")
    if source == "glyphs" and name == "imagenet":  # by several processes side by side, each some classes
        for path in wanted:
            built_in.write_imagenet_class(folder, int(path.stem), seed)
            os.utime(path, (MADE, MADE))
        return wanted
    if supplied is not None:
        originals.check_supplied(supplied, wanted, folder)
    with locked(folder):
        remove_leftovers(folder)
        remove_leftovers(folder / "classes")
        if source == "glyphs":
            {"mnist": built_in.write_mnist, "cifar-100": built_in.write_cifar100}[name](folder, seed)
        else:
            _bring(name, folder, originals.Origin(Checksums(folder.parent / "checksums.json"), supplied), seed)
        for path in wanted:
            os.utime(path, (MADE, MADE))
    return wanted


def _bring(name: str, folder: Path, origin: originals.Origin, seed: int) -> None:
    if name == "mnist":
        originals.mnist(folder, origin)
    elif name == "cifar-100":
        originals.cifar100(folder, origin)
    else:
        originals.imagenet(folder, origin, seed)
