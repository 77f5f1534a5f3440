"""Which files a set consists of, and where they lie: data/<source>/<set>/."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lop.common import sources
from lop.common.errors import InputError
from lop.common.paths import ROOT, above, shown
from lop.common.ranges import ranges
from lop.data.record import recorded

DATA = ROOT / "data"
SOURCES = ("glyphs", "original")
CLASSES = 1000  # of ImageNet
FIXED_FILES = {
    "mnist": tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")),
    "cifar-100": ("train.bin", "test.bin"),
}
SETS = (*FIXED_FILES, "imagenet")
NAMED_CLASSES = 20  # so many at most one by one in a suggested command


@dataclass(frozen=True)
class Images:
    """Which images runs learn from, as `data` in config/config.yaml says; InputError if the seed is below 0."""

    source: str = "glyphs"
    seed: int = 0
    from_storage: bool = False  # which does not bring the records of what files are made of: the workflow has its own

    def __post_init__(self) -> None:
        if int(self.seed) < 0:
            raise InputError(f"seed of data: found {self.seed}, allowed: 0 or more")

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
    """InputError, with the command that makes them, if files of a set are not there, or are made of something else."""
    wanted = files(name, images.source, classes, data)
    identity = images.identity(name)
    unknown_will_do = images.source == "original" or images.from_storage  # put there by hand, or by the workflow
    faults = {path: fault for path in wanted if (fault := _fault(path, identity, unknown_will_do))}
    for path, fault in faults.items():
        raise InputError(f"{shown(path)}: {fault}; `{_command(name, images, faults, data)}` makes it")


def _fault(path: Path, identity: Mapping[str, str | int], unknown_will_do: bool) -> str:
    """What is wrong with a file, if anything."""
    if not path.is_file():
        return "no such file"
    found = recorded(path)
    if found == identity or (found is None and unknown_will_do):
        return ""
    if found is None:
        return "found images of which it is not known what made them"
    if found.get("seed") != identity.get("seed"):
        return f"found images of data.seed {found.get('seed')}, allowed: {identity.get('seed')}"
    return "found images that other code has drawn"


def _command(name: str, images: Images, lacking: Iterable[Path], data: Path) -> str:
    """What makes files that are lacking."""
    given = {"--source": images.source, "--seed": str(images.seed), "--data": str(data)}
    usual = {"--source": SOURCES[0], "--seed": "0", "--data": str(DATA)}
    if (name, images.source) == ("imagenet", SOURCES[0]):
        classes = [int(path.stem) for path in lacking]
        few = len(classes) <= NAMED_CLASSES
        given["--classes"] = ranges(classes, ",") if few else f"{min(classes)}-{max(classes)}"
        usual["--classes"] = f"0-{CLASSES - 1}"
    more = "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value != usual[option])
    return f"python -m lop.data {name}{more}"


def checked_class(number: int) -> int:
    """The number of a class of ImageNet; InputError if there is none."""
    if not 0 <= number < CLASSES:
        raise InputError(f"class of imagenet: found {number}, allowed: 0 to {CLASSES - 1}")
    return number
