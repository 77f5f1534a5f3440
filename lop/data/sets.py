"""Image sets: their files and where they are stored.

The folder of a built-in set is named by a digest of its seed and of the code that draws it. The original data sets are
in data/original and verified by checksums.
"""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lop.common import sources
from lop.common.errors import InputError
from lop.common.paths import PROJECT, above, shown
from lop.common.ranges import ranges
from lop.data.formats import IMAGENET_CLASSES

DATA = PROJECT / "data"
SOURCES = ("glyphs", "original")
FIXED_FILES = {
    "mnist": tuple(f"{part}-{kind}-ubyte.gz" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")),
    "cifar-100": ("train.bin", "test.bin"),
}
SETS = (*FIXED_FILES, "imagenet")
NAMED_CLASSES = 20  # limit on the classes that a suggested command lists one by one


@dataclass(frozen=True)
class ImageSource:
    """Images that runs learn from, as selected by `data` in config/config.yaml and by the scale.

    Raises:
        InputError: there is no such source or set, or the seed is negative.
    """

    source: str = "glyphs"
    seed: int = 0
    original: tuple[str, ...] = ()  #: sets whose source is `original`, whatever `source` says

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"source of data: found {self.source!r}, allowed: {', '.join(SOURCES)}")
        if int(self.seed) < 0:
            raise InputError(f"seed of data: found {self.seed}, allowed: 0 or more")
        for name in self.original:
            checked_set(name)

    def source_of(self, name: str) -> str:
        """Return the source of a set."""
        return "original" if name in self.original else self.source

    def identity(self, name: str) -> dict[str, str | int]:
        """Return everything that determines the images of a set, known before its files exist.

        For built-in sets: the seed and the code that draws them. For original data sets: only the source, since their
        contents are known or pinned on first use (`lop.data.checksums`), and for ImageNet also the seed, which selects
        images from the official files.
        """
        source = self.source_of(name)
        identity: dict[str, str | int] = {"source": source}
        if source == "glyphs" or name == "imagenet":
            identity["seed"] = int(self.seed)
        if source == "glyphs":
            identity["code"] = _drawing_code()
        return identity

    def folder(self, name: str, data: Path = DATA) -> Path:
        """Return the folder of a set, as expected by the loaders in `lop.data.load`.

        Raises:
            InputError: there is no such set.
        """
        identity = self.identity(checked_set(name))
        if identity["source"] == "glyphs":
            return data / "glyphs" / f"{name}-{sources.fingerprint(identity)[:8]}"
        return data / "original" / (f"{name}-seed-{self.seed}" if identity.get("seed") else name)

    def files(self, name: str, classes: Iterable[int] = range(IMAGENET_CLASSES), data: Path = DATA) -> list[Path]:
        """Return the files of a set; for ImageNet, only those of `classes`.

        Raises:
            InputError: there is no such set or class.
        """
        folder = self.folder(name, data)
        if name in FIXED_FILES:
            return [folder / file for file in FIXED_FILES[name]]
        return [folder / "classes" / f"{checked_class(number)}.npy" for number in classes]

    def data_above(self, path: Path, name: str) -> Path:
        """Return the folder of all sets, given one of the files of a set.

        Raises:
            InputError: the set has no such file.
        """
        below = self.folder(name, Path())
        return above(path, below / (path.name if name in FIXED_FILES else Path("classes", path.name)))

    def must_exist(self, name: str, classes: Iterable[int] = range(IMAGENET_CLASSES), data: Path = DATA) -> None:
        """Check that the files of a set exist.

        Raises:
            InputError: a file is missing; the message contains the command that creates it.
        """
        missing = [path for path in self.files(name, classes, data) if not path.is_file()]
        if missing:
            command = self._command(name, missing, data)
            raise InputError(f"{shown(missing[0])}: no such file; create it with `{command}`")

    def _command(self, name: str, missing: Iterable[Path], data: Path) -> str:
        given = {"--source": self.source_of(name), "--seed": str(self.seed), "--data": str(data)}
        usual = {"--source": SOURCES[0], "--seed": "0", "--data": str(DATA)}
        if (name, given["--source"]) == ("imagenet", SOURCES[0]):
            classes = [int(path.stem) for path in missing]
            few = len(classes) <= NAMED_CLASSES
            given["--classes"] = ranges(classes, ",") if few else f"{min(classes)}-{max(classes)}"
            usual["--classes"] = f"0-{IMAGENET_CLASSES - 1}"
        more = "".join(f" {option} {shlex.quote(value)}" for option, value in given.items() if value != usual[option])
        return f"python -m lop.data {name}{more}"


@cache
def _drawing_code() -> str:
    return sources.combined(sources.science("lop.data.built_in"))


def checked_set(name: str) -> str:
    """Return the name of a set.

    Raises:
        InputError: there is no such set.
    """
    if name not in SETS:
        raise InputError(f"set of data: found {name!r}, allowed: {', '.join(SETS)}")
    return name


def checked_class(number: int) -> int:
    """Return the number of an ImageNet class.

    Raises:
        InputError: the number is out of range.
    """
    if not 0 <= number < IMAGENET_CLASSES:
        raise InputError(f"class of imagenet: found {number}, allowed: 0 to {IMAGENET_CLASSES - 1}")
    return number
