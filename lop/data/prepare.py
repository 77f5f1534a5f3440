"""Make the files of a set: drawn, downloaded, or taken from a folder of the user's."""

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import remove_leftovers
from lop.common.locks import locked
from lop.data import built_in, originals
from lop.data.checksums import Checksums
from lop.data.record import record
from lop.data.sets import CLASSES, DATA, Images, files, folder_of

# Of every file: those that were deleted and made again by hand are no news to the runs that have learned from them.
# What makes them is among the runs' parameters.
MADE = datetime(2000, 1, 1, tzinfo=UTC).timestamp()


def prepare(
    name: str,
    source: str,
    seed: int = 0,
    classes: Iterable[int] = range(CLASSES),
    supplied: Path | None = None,
    data: Path = DATA,
) -> list[Path]:
    """Make a set's files anew, all of the time `MADE`, with a record of what they are made of; returns them.

    InputError, and no file of a wrong content, if that fails.

    seed: of the built-in images; of the choice of images from the official ImageNet. classes: those of the built-in
    ImageNet that are needed; the originals come whole. supplied: the user's folder, for source `original`.
    """
    images, folder = Images(source, seed), folder_of(name, source, data)
    wanted = files(name, source, classes, data)
    if source == "glyphs" and supplied is not None:
        raise InputError("data.folder: only data.source original is taken from a folder")
    if supplied is not None:
        originals.check_supplied(supplied, wanted, folder)
    if (name, source) == ("imagenet", "glyphs"):
        _draw_classes(folder, wanted, images)
    elif (name, source, supplied) == ("imagenet", "original", None):
        originals.imagenet_by_hand(folder)  # the files are the user's, and so is their time
    else:
        with locked(folder):
            remove_leftovers(folder)
            remove_leftovers(folder / "classes")
            if source == "glyphs":
                {"mnist": built_in.write_mnist, "cifar-100": built_in.write_cifar100}[name](folder, seed)
            else:
                _bring(name, folder, originals.Origin(Checksums(folder.parent / "checksums.json"), supplied), seed)
            _finish(wanted, images.identity(name))
    return wanted


def _draw_classes(folder: Path, wanted: Iterable[Path], images: Images) -> None:
    """By several processes side by side, each some classes."""
    identity = images.identity("imagenet")
    for path in wanted:
        remove_leftovers(path.parent, path.name)
        built_in.write_imagenet_class(folder, int(path.stem), images.seed)
        _finish([path], identity)


def _finish(paths: Iterable[Path], identity: Mapping[str, str | int]) -> None:
    """Set the time, of a link its own alone, for the file is the user's; and write down what files are made of."""
    for path in paths:
        os.utime(path, (MADE, MADE), follow_symlinks=False)
        record(path, identity)


def _bring(name: str, folder: Path, origin: originals.Origin, seed: int) -> None:
    if name == "mnist":
        originals.mnist(folder, origin)
    elif name == "cifar-100":
        originals.cifar100(folder, origin)
    else:
        originals.imagenet(folder, origin, seed)
