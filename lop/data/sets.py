"""Which files a set consists of, and where they lie: data/<source>/<set>/."""

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from lop.errors import InputError
from lop.paths import ROOT, above, shown
from lop.runs import sources

DATA = ROOT / "data"
SOURCES = ("glyphs", "original")
CLASSES = 1000  # of ImageNet
FIXED_FILES = {
    "mnist": tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")),
    "cifar-100": ("train.bin", "test.bin"),
}
SETS = (*FIXED_FILES, "imagenet")


class Images(NamedTuple):
    """Which images runs learn from, as `data` in config/config.yaml says."""

    source: str = "glyphs"
    seed: int = 0

    def identity(self, name: str) -> dict[str, str | int]:
        """What a run that learns from the set of that name depends on, known before the set's files are there.

        Of built-in data: the seed and the code that draws it. Of the originals: nothing but who they are, for checksums
        hold their files; but the seed chooses ImageNet's images from the official files.
        """
        identity: dict[str, str | int] = {"source": self.source}
        if self.source == "glyphs" or name == "imagenet":
            identity["seed"] = int(self.seed)
        if self.source == "glyphs":
            identity["code"] = _drawn_by()
        return identity


@cache
def _drawn_by() -> str:
    """Digest of the code that draws built-in images, once a process."""
    return sources.digest("lop.data.built_in")


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


def data_above(path: Path, name: str, source: str) -> Path:
    """The folder of all sets, from one of the files of a set.

    Raises:
        ValueError: the set has no such file.
    """
    below = folder_of(name, source, Path())
    return above(path, below / (path.name if name in FIXED_FILES else Path("classes", path.name)))


def must_be_there(name: str, images: Images, classes: Iterable[int], data: Path) -> None:
    """InputError, with the command that makes it, if a file of a set is not there."""
    classes = list(classes)
    for path in files(name, images.source, classes, data):
        if not path.is_file():
            given = {"--source": images.source, "--seed": str(images.seed), "--data": str(data)}
            usual = {"--source": SOURCES[0], "--seed": "0", "--data": str(DATA)}
            if (name, images.source) == ("imagenet", SOURCES[0]):
                given["--classes"], usual["--classes"] = f"{min(classes)}-{max(classes)}", f"0-{CLASSES - 1}"
            more = "".join(f" {option} {value}" for option, value in given.items() if value != usual[option])
            raise InputError(f"{shown(path)}: no such file; `python -m lop.data {name}{more}` makes it")


def checked_class(number: int) -> int:
    """The number of a class of ImageNet; InputError if there is none."""
    if not 0 <= number < CLASSES:
        raise InputError(f"class of imagenet: found {number}, allowed: 0 to {CLASSES - 1}")
    return number
