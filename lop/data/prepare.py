"""Make the files of a set: drawn, downloaded, or taken from a folder of the user's."""

from collections.abc import Iterable
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import remove_leftovers
from lop.common.locks import locked
from lop.data import built_in, originals
from lop.data.checksums import Checksums
from lop.data.formats import CLASSES
from lop.data.sets import DATA, Images


def prepare(
    name: str,
    images: Images,
    classes: Iterable[int] = range(CLASSES),
    supplied: Path | None = None,
    data: Path = DATA,
) -> list[Path]:
    """Make the files of a set.

    Args:
        name: which set.
        images: source and seed.
        classes: those of the built-in ImageNet that are needed; the published sets come whole.
        supplied: your folder with the published sets; by default they are downloaded.
        data: folder of all sets.

    Returns:
        The files.

    Raises:
        InputError: they cannot be made; no file with a wrong content is left.
    """
    source, folder = images.source, images.folder(name, data)
    wanted = images.files(name, classes, data)
    if source == "glyphs" and supplied is not None:
        raise InputError("data.folder: only data.source original is taken from a folder")
    if supplied is not None:
        originals.check_supplied(supplied, wanted, folder)
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
                _bring(
                    name, folder, originals.Origin(Checksums(folder.parent / "checksums.json"), supplied), images.seed
                )
    return wanted


def _draw_classes(folder: Path, wanted: Iterable[Path], images: Images) -> None:
    """Several processes may do this side by side, each for some classes."""
    for path in wanted:
        remove_leftovers(path.parent, path.name)
        built_in.write_imagenet_class(folder, int(path.stem), images.seed)


def _bring(name: str, folder: Path, origin: originals.Origin, seed: int) -> None:
    if name == "mnist":
        originals.mnist(folder, origin)
    elif name == "cifar-100":
        originals.cifar100(folder, origin)
    else:
        originals.imagenet(folder, origin, seed)
