"""Which files a set consists of, and where they lie: data/<source>/<set>/."""

from collections.abc import Iterable
from pathlib import Path

from lop.errors import InputError

DATA = Path("data")
SOURCES = ("glyphs", "original")
CLASSES = 1000  # of ImageNet
FIXED_FILES = {
    "mnist": tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")),
    "cifar-100": ("train.bin", "test.bin"),
}
SETS = (*FIXED_FILES, "imagenet")


def folder_of(name: str, source: str, data: Path = DATA) -> Path:
    """The folder of a set, which the loaders of `lop.data.load` take."""
    for found, allowed, what in ((name, SETS, "set"), (source, SOURCES, "source")):
        if found not in allowed:
            raise InputError(f"{what} of data: found {found!r}, allowed: {', '.join(allowed)}")
    return data / source / name


def files(name: str, source: str, classes: Iterable[int] = range(CLASSES), data: Path = DATA) -> list[Path]:
    """The files that a problem needs of a set; of ImageNet, those of some classes."""
    folder = folder_of(name, source, data)
    if name in FIXED_FILES:
        return [folder / file for file in FIXED_FILES[name]]
    return [folder / "classes" / f"{checked_class(number)}.npy" for number in classes]


def checked_class(number: int) -> int:
    """The number of a class of ImageNet; InputError if there is none."""
    if not 0 <= number < CLASSES:
        raise InputError(f"class of imagenet: found {number}, allowed: 0 to {CLASSES - 1}")
    return number
