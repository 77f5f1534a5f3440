"""Which files a set consists of, and where they lie: data/<source>/<set>/."""

import hashlib
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lop.errors import InputError
from lop.paths import ROOT, above, shown
from lop.ranges import ranges
from lop.runs import sources

DATA = ROOT / "data"
SOURCES = ("glyphs", "original")
CLASSES = 1000  # of ImageNet
FIXED_FILES = {
    "mnist": tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")),
    "cifar-100": ("train.bin", "test.bin"),
}
SETS = (*FIXED_FILES, "imagenet")
TIMES = range(*(int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (1981, 2000)))  # see `Images.time_of`
NAMED_CLASSES = 20  # so many at most one by one in a suggested command


@dataclass(frozen=True)
class Images:
    """Which images runs learn from, as `data` in config/config.yaml says; InputError if the seed is below 0."""

    source: str = "glyphs"
    seed: int = 0
    times_kept: bool = True  # whether files still have the times that they were given; a storage may not keep them

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
            identity["code"] = sources.digest("lop.data.built_in")
        return identity

    def time_of(self, name: str) -> int:
        """The time, in seconds, that files of the set of that name are given: it stands for what they are made of.

        So each file tells it, however it came to where it is, and no second file has to be kept true to the first. It
        lies before the year 2000, so that files that were deleted and made again are no news to the runs that have
        learned from them.
        """
        text = json.dumps(self.identity(name), sort_keys=True)
        return TIMES[int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % len(TIMES)]


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
    time = images.time_of(name) if "seed" in images.identity(name) else None
    faults = {path: fault for path in wanted if (fault := _fault(path, images, time))}
    for path, fault in faults.items():
        raise InputError(f"{shown(path)}: {fault}; `{_command(name, images, faults, data)}` makes it")


def _fault(path: Path, images: Images, time: int | None) -> str:
    """What is wrong with a file, if anything; `time` is of what it should be made of, where that may differ."""
    if not path.is_file():
        return "no such file"
    times = {int(path.stat().st_mtime), int(path.lstat().st_mtime)}
    unknown_will_do = images.source == "original" or not images.times_kept  # put there by hand, or by the workflow
    if time is None or time in times or (unknown_will_do and not any(found in TIMES for found in times)):
        return ""
    return "found images of another seed, drawn by other code, or copied without their time"


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
