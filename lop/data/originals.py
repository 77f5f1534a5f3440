"""The originals: where they are had, and how they become the files that the loaders read.

Every function takes the set's folder (data/original/<set>) and, instead of the network, a folder of the user's: what
lies there under the original names is checked and linked to or unpacked, and never changed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.data import load
from lop.data.checksums import Checksums
from lop.data.download import Patience, download
from lop.data.formats import CIFAR_RECORD, IMAGENET_CLASSES, read_cifar100, read_class
from lop.data.imagenet32 import build_classes
from lop.data.sets import FIXED_FILES
from lop.data.unpack import unpack

MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
CIFAR100_MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)
CIFAR100_ARCHIVE = "cifar-100-binary.tar.gz"
CIFAR100_RECORDS = {"train.bin": 50_000, "test.bin": 10_000}
CLASS_BYTES = 700 * 3 * 32 * 32 * 8 + 4096  # at most: as float64, with a header
CLASSES_ZIP = "imagenet classes"  # what its checksum is pinned as: its name is the user's
OFFICIAL = "Imagenet32_train_npz.zip"
BY_HAND = (
    "imagenet cannot be downloaded by a program: get the paper's zip (Google Drive file "
    f"1i0ok3LT5_mYmFWaN7wlkpHsitUngGJ8z) or {OFFICIAL} (image-net.org, with a login), "
    "and name the folder that holds it as data.folder (--folder)"
)


@dataclass(frozen=True)
class Origin:
    """Where files come from: addresses, or a folder of the user's, and the checksums that they have to meet."""

    checksums: Checksums
    supplied: Path | None = None
    patience: Patience = field(default_factory=Patience)
    mirrors: tuple[str, ...] = ()  # in place of the published addresses

    def fetch(self, name: str, target: Path, mirrors: tuple[str, ...]) -> None:
        """Download a file that the user does not supply."""
        download(name, [base + name for base in self.mirrors or mirrors], target, self.checksums, self.patience)

    def find(self, *names: str) -> list[Path] | None:
        """The user's files of those names; None unless all are there."""
        if self.supplied is None:
            return None
        found = [self.supplied / name for name in names]
        return found if all(path.is_file() for path in found) else None

    def missing(self, *wanted: str) -> InputError:
        assert self.supplied is not None
        what = "no such folder" if not self.supplied.is_dir() else f"found no {', no '.join(wanted)} in it"
        return InputError(f"data.folder {shown(self.supplied)}: {what}")


def link(source: Path, target: Path) -> None:
    """A symbolic link to a file of the user's, unless that is the target itself."""
    if target.exists() and target.samefile(source):
        return
    with atomic_file(target) as temporary:
        temporary.symlink_to(source.resolve())


def check_supplied(supplied: Path, wanted: Iterable[Path], folder: Path) -> None:
    """InputError if a folder of the user's lies in the set's own, or links into it: what is there is made anew.

    wanted: the files that are to be made, below `folder`.
    """
    for path in (supplied, *(supplied / path.relative_to(folder) for path in wanted)):
        if path.resolve().is_relative_to(folder.resolve()):
            where = f"{shown(folder)}, where the set itself is to lie"
            raise InputError(f"data.folder: found {path}, which is in {where}; allowed: a folder elsewhere")


def mnist(folder: Path, origin: Origin) -> None:
    """MNIST's four files; InputError if they cannot be had, or are others than the known ones."""
    names = FIXED_FILES["mnist"]
    if origin.supplied is None:
        for name in names:
            origin.fetch(name, folder / name, MNIST_MIRRORS)
        return
    found = origin.find(*names)
    if not found:
        raise origin.missing(*names)
    load.mnist(origin.supplied)
    for path in found:
        origin.checksums.check(path, path.name)
    for path in found:
        link(path, folder / path.name)


def cifar100(folder: Path, origin: Origin) -> None:
    """CIFAR-100's train.bin and test.bin, from the archive without pickles or as they are."""
    found = origin.find(*CIFAR100_RECORDS)
    if found and origin.supplied:
        load.cifar100(origin.supplied)
        for path in found:
            origin.checksums.check(path, path.name)
        for path in found:
            link(path, folder / path.name)
            origin.checksums.pin(path, path.name)
        return
    if origin.supplied is None:
        archive = folder / CIFAR100_ARCHIVE
        origin.fetch(CIFAR100_ARCHIVE, archive, CIFAR100_MIRRORS)
    elif archives := origin.find(CIFAR100_ARCHIVE):
        (archive,) = archives
        origin.checksums.check(archive, CIFAR100_ARCHIVE)
    else:
        raise origin.missing("train.bin and test.bin", f"{CIFAR100_ARCHIVE} (not the one of Python pickles)")
    unpack_cifar100(archive, folder)
    origin.checksums.pin(archive, CIFAR100_ARCHIVE)
    if origin.supplied is None:
        archive.unlink()


def unpack_cifar100(archive: Path, folder: Path) -> None:
    """Take train.bin and test.bin out of the archive; InputError if they are not there or not what they should be."""
    most = max(CIFAR100_RECORDS.values()) * CIFAR_RECORD.itemsize
    targets = [folder / name for name in CIFAR100_RECORDS]
    unpack(archive, folder, targets, most, lambda file: read_cifar100(file, CIFAR100_RECORDS[file.name]))


def imagenet(folder: Path, origin: Origin, seed: int) -> None:
    """All classes of ImageNet, from a folder of the user's: the paper's own files, its zip of them, or the official
    archive and a seeded choice."""
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
    elif len(archives := sorted(origin.supplied.glob("*.zip"))) == 1:
        origin.checksums.check(archives[0], CLASSES_ZIP)
        unpack_classes(archives[0], folder)
        origin.checksums.pin(archives[0], CLASSES_ZIP)
    else:
        raise origin.missing("classes/0.npy to 999.npy", "one zip of those", OFFICIAL)


def imagenet_by_hand(folder: Path) -> None:
    """See that all classes were put into the folder by hand; InputError with what to do if not."""
    if not all((folder / "classes" / f"{number}.npy").exists() for number in range(IMAGENET_CLASSES)):
        raise InputError(BY_HAND)


def unpack_classes(archive: Path, folder: Path, classes: int = IMAGENET_CLASSES) -> None:
    """Take classes/<n>.npy out of the paper's zip; InputError if one is missing or not what it should be."""
    targets = [folder / "classes" / f"{number}.npy" for number in range(classes)]
    unpack(archive, folder, targets, CLASS_BYTES, read_class)
