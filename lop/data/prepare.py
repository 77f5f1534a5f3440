"""Create the files of a set: draw them, download them, or take them from a user's folder."""

from collections.abc import Iterable
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import remove_leftovers
from lop.common.locks import locked
from lop.data import built_in, originals
from lop.data.checksums import Checksums, record
from lop.data.formats import IMAGENET_CLASSES
from lop.data.sets import DATA, ImageSource


def prepare(
    name: str,
    images: ImageSource,
    classes: Iterable[int] = range(IMAGENET_CLASSES),
    supplied: Path | None = None,
    data: Path = DATA,
) -> list[Path]:
    """Create the files of a set.

    Args:
        name: name of the set.
        images: source and seed.
        classes: required classes of the built-in ImageNet; the original data sets are created as a whole.
        supplied: folder with a copy of the original data set, or with a subfolder named after it; None to download it.
        data: folder of all sets.

    Returns:
        The files.

    Raises:
        InputError: the files cannot be created; no file with invalid contents remains.
    """
    source, folder = images.source_of(name), images.folder(name, data)
    wanted = images.files(name, classes, data)
    if source == "glyphs" and supplied is not None:
        raise InputError("data.folder: only allowed with data.source original")
    subfolder = name
    if supplied is not None:
        if (supplied / name).resolve() == folder.resolve():
            subfolder = ""
        for place in {supplied, supplied / subfolder}:
            originals.check_supplied(place, wanted, folder)
    if (name, source) == ("imagenet", "glyphs"):
        _draw_classes(folder, wanted, images)
    elif (name, source, supplied) == ("imagenet", "original", None):
        originals.imagenet_by_hand(folder)
    else:
        with locked(folder):
            remove_leftovers(folder)
            remove_leftovers(folder / "classes")
            if source == "glyphs":
                {"mnist": built_in.write_mnist, "cifar-100": built_in.write_cifar100}[name](folder, images.seed)
            else:
                checksums = Checksums(folder.parent / "checksums.json")
                _bring(name, folder, originals.Origin(checksums, supplied, subfolder=subfolder), images.seed)
    record(wanted)
    return wanted


def _draw_classes(folder: Path, wanted: Iterable[Path], images: ImageSource) -> None:
    """Draw classes one by one; several processes may do so concurrently for different classes."""
    for path in wanted:
        built_in.write_imagenet_class(folder, int(path.stem), images.seed)


def _bring(name: str, folder: Path, origin: originals.Origin, seed: int) -> None:
    if name == "mnist":
        originals.mnist(folder, origin)
    elif name == "cifar-100":
        originals.cifar100(folder, origin)
    else:
        originals.imagenet(folder, origin, seed)
