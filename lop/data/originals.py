"""Original data sets: downloaded, or taken from a user's folder, and stored as the files that the loaders read.

In the following, `folder` is the folder of a set, such as data/original/mnist. Files in the user's folder are checked
and then linked to or unpacked, and never changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.data import layouts, load
from lop.data.checksums import Checksums
from lop.data.download import Patience, download
from lop.data.formats import (
    CIFAR_RECORD,
    IMAGENET_CLASSES,
    read_cifar100,
    read_class,
    write_idx,
    write_records,
)
from lop.data.imagenet32 import build_classes
from lop.data.sets import FIXED_FILES
from lop.data.unpack import move, scratch_folder, unpack

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
MNIST_IMAGES = (60_000, 10_000)
CIFAR100_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR100_ARCHIVE = "cifar-100-binary.tar.gz"
CIFAR100_PICKLES = "cifar-100-python.tar.gz"
CIFAR100_RECORDS = {"train.bin": 50_000, "test.bin": 10_000}
CLASS_BYTES = 700 * 3 * 32 * 32 * 8 + 4096  # upper limit: float64 and a header
CLASSES_ZIP = "imagenet classes"  # key of its pinned checksum; the archive may have any name
OFFICIAL = "Imagenet32_train_npz.zip"
BY_HAND = (
    "imagenet cannot be downloaded automatically: download the paper's zip (Google Drive file "
    f"1i0ok3LT5_mYmFWaN7wlkpHsitUngGJ8z) or {OFFICIAL} (image-net.org, login required), "
    "and set data.folder (--folder) to the folder that contains it"
)


@dataclass(frozen=True)
class Origin:
    """Source of original files, a download or a user's folder, and their expected checksums."""

    checksums: Checksums
    supplied: Path | None = None
    patience: Patience = field(default_factory=Patience)
    mirrors: tuple[str, ...] = ()  # replace the published addresses
    subfolder: str = ""  # of the user's folder, in which files are also looked for

    def fetch(self, name: str, target: Path, mirrors: tuple[str, ...]) -> None:
        """Download a file.

        Args:
            name: name of the file, appended to each mirror.
            target: path of the downloaded file.
            mirrors: published addresses, tried in this order.

        Raises:
            InputError: no mirror provides the file.
        """
        download(name, [base + name for base in self.mirrors or mirrors], target, self.checksums, self.patience)

    def find(self, *names: str, folders: tuple[str, ...] = ("",)) -> list[Path] | None:
        """Return the user's files with these names in the first of `folders` that has all of them, or None."""
        for folder in (place / folder for place in self.places for folder in folders):
            found = [folder / name for name in names]
            if all(path.is_file() for path in found):
                return found
        return None

    @property
    def places(self) -> list[Path]:
        """The user's folder and its subfolder."""
        return list(dict.fromkeys((self.supplied, self.supplied / self.subfolder))) if self.supplied else []

    def missing(self, *wanted: str) -> InputError:
        """Return the error for a user's folder that contains none of the wanted files."""
        assert self.supplied is not None
        what = "no such folder" if not self.supplied.is_dir() else f"contains no {', no '.join(wanted)}"
        return InputError(f"data.folder {shown(self.supplied)}: {what}")


def link(source: Path, target: Path) -> None:
    """Create a symbolic link to a user's file, unless it is the target itself."""
    if target.exists() and target.samefile(source):
        return
    with atomic_file(target) as temporary:
        temporary.symlink_to(source.resolve())


def check_supplied(supplied: Path, wanted: Iterable[Path], folder: Path) -> None:
    """Check that the user's folder is outside the folder of the set, whose files are overwritten.

    Args:
        supplied: the user's folder.
        wanted: files to create, below `folder`.
        folder: folder of the set.

    Raises:
        InputError: the user's folder or a file in it is inside `folder` or links into it.
    """
    for path in (supplied, *(supplied / path.relative_to(folder) for path in wanted)):
        if path.resolve().is_relative_to(folder.resolve()):
            where = f"{shown(folder)}, the folder of the set itself"
            raise InputError(f"data.folder: found {path}, which is in {where}; allowed: another folder")


def mnist(folder: Path, origin: Origin) -> None:
    """Create the four files of MNIST.

    Raises:
        InputError: a file is missing, cannot be downloaded, or has another checksum.
    """
    names = FIXED_FILES["mnist"]
    if origin.supplied is None:
        for name in names:
            origin.fetch(name, folder / name, MNIST_MIRRORS)
        return
    if found := origin.find(*names, folders=layouts.MNIST_FOLDERS):
        load.mnist(found[0].parent)
        for path in found:
            origin.checksums.check(path, path.name)
        for path in found:
            link(path, folder / path.name)
        return
    with scratch_folder(folder) as scratch:
        if found := origin.find(*(name.removesuffix(".gz") for name in names), folders=layouts.MNIST_FOLDERS):
            for path, name in zip(found, names, strict=True):
                layouts.compress(path, scratch / name)
        elif found := origin.find(*layouts.PARQUET, folders=layouts.PARQUET_FOLDERS["mnist"]):
            parts = layouts.parquet_mnist(found, MNIST_IMAGES)
            for name, array in zip(names, (array for part in parts for array in part), strict=True):
                write_idx(scratch / name, array)
        else:
            raise origin.missing(*names, *layouts.PARQUET)
        load.mnist(scratch)
        for name in names:
            origin.checksums.check(scratch / name, name)
        for name in names:
            move(scratch / name, folder / name)


def cifar100(folder: Path, origin: Origin) -> None:
    """Create train.bin and test.bin of CIFAR-100 from any of its versions; see `lop.data.layouts`.

    Raises:
        InputError: a file is missing, damaged, cannot be downloaded, or has another checksum.
    """
    if found := origin.find(*CIFAR100_RECORDS):
        load.cifar100(found[0].parent)
        for path in found:
            origin.checksums.check(path, path.name)
        for path in found:
            link(path, folder / path.name)
            origin.checksums.pin(path, path.name)
        return
    archive = folder / CIFAR100_ARCHIVE
    if origin.supplied is None:
        origin.fetch(CIFAR100_ARCHIVE, archive, CIFAR100_MIRRORS)
    elif archives := origin.find(CIFAR100_ARCHIVE):
        (archive,) = archives
        origin.checksums.check(archive, CIFAR100_ARCHIVE)
    else:
        _convert_cifar100(folder, origin)
        return
    unpack_cifar100(archive, folder)
    origin.checksums.pin(archive, CIFAR100_ARCHIVE)
    if origin.supplied is None:
        archive.unlink()


def _convert_cifar100(folder: Path, origin: Origin) -> None:
    """Create train.bin and test.bin from the user's pickles or Parquet files."""
    with scratch_folder(folder) as scratch:
        read = layouts.read_pickle
        found = origin.find(*layouts.PICKLES, folders=layouts.PICKLE_FOLDERS)
        if not found and (archives := origin.find(CIFAR100_PICKLES)):
            found = [scratch / name for name in layouts.PICKLES]
            unpack(archives[0], scratch, found, layouts.PICKLE_BYTES, lambda path: None)
        if not found and (found := origin.find(*layouts.PARQUET, folders=layouts.PARQUET_FOLDERS["cifar-100"])):
            read = layouts.parquet_cifar100
        if not found:
            wanted = (" and ".join(CIFAR100_RECORDS), CIFAR100_ARCHIVE, CIFAR100_PICKLES, *layouts.PARQUET)
            raise origin.missing(*wanted)
        for path, (name, count) in zip(found, CIFAR100_RECORDS.items(), strict=True):
            records = read(path, count)
            write_records(scratch / name, [(records["coarse"], records["fine"], records["image"])])
            origin.checksums.check(scratch / name, name)
        for name in CIFAR100_RECORDS:
            move(scratch / name, folder / name)
            origin.checksums.pin(folder / name, name)


def unpack_cifar100(archive: Path, folder: Path) -> None:
    """Extract train.bin and test.bin from the archive.

    Raises:
        InputError: a file is missing or invalid.
    """
    most = max(CIFAR100_RECORDS.values()) * CIFAR_RECORD.itemsize
    targets = [folder / name for name in CIFAR100_RECORDS]
    unpack(archive, folder, targets, most, lambda file: read_cifar100(file, CIFAR100_RECORDS[file.name]))


def imagenet(folder: Path, origin: Origin, seed: int) -> None:
    """Create all classes of ImageNet from the user's folder.

    Accepts the paper's files, the paper's zip archive, or the official archive, from which `seed` selects the images.

    Raises:
        InputError: a file is missing, damaged, or has another checksum.
    """
    assert origin.supplied is not None
    names = [f"classes/{number}.npy" for number in range(IMAGENET_CLASSES)]
    if found := origin.find(*names):
        for path in found:
            read_class(path)
            origin.checksums.check(path, f"classes/{path.name}")
        for path in found:
            link(path, folder / "classes" / path.name)
        origin.checksums.pin_all({f"classes/{path.name}": path for path in found})
    elif official := origin.find(OFFICIAL):
        origin.checksums.check(official[0], OFFICIAL)
        build_classes(official[0], folder, seed)
    elif archives := next((zips for place in origin.places if len(zips := list(place.glob("*.zip"))) == 1), None):
        origin.checksums.check(archives[0], CLASSES_ZIP)
        unpack_classes(archives[0], folder)
        origin.checksums.pin(archives[0], CLASSES_ZIP)
    else:
        raise origin.missing("classes/0.npy to 999.npy", "one zip of those", OFFICIAL)


def imagenet_by_hand(folder: Path) -> None:
    """Check that the user has put all classes into the folder.

    Raises:
        InputError: a class is missing; the message explains how to obtain the files.
    """
    if not all((folder / "classes" / f"{number}.npy").exists() for number in range(IMAGENET_CLASSES)):
        raise InputError(BY_HAND)


def unpack_classes(archive: Path, folder: Path, classes: int = IMAGENET_CLASSES) -> None:
    """Extract classes/<n>.npy from the paper's zip archive.

    Raises:
        InputError: a file is missing or invalid.
    """
    targets = [folder / "classes" / f"{number}.npy" for number in range(classes)]
    unpack(archive, folder, targets, CLASS_BYTES, read_class)
