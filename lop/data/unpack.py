"""Safe extraction of selected files from untrusted tar.gz and zip archives."""

import errno
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown

MOST_MEMBERS = 20_000
MOST_BYTES = 40 * 2**30  # limit on the unpacked size of all members together
PIECE = 2**20  # bytes read at a time
OF_THE_ARCHIVE = (None, errno.EINVAL)  # errno of an OSError: of bz2, and of an offset before the beginning of the file
_BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
_SCRATCH = ".building-"


@contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder in `folder`; first delete those that killed processes left behind."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob(f"{_SCRATCH}*"):
        shutil.rmtree(leftover)
    with tempfile.TemporaryDirectory(dir=folder, prefix=_SCRATCH) as scratch:
        yield Path(scratch)


def move(source: Path, target: Path) -> None:
    """Move a file to its target on the same disk, atomically."""
    with atomic_file(target) as temporary:
        os.replace(source, temporary)


@contextmanager
def readable(archive: Path) -> Iterator[None]:
    """Convert all errors that a damaged archive makes its reader raise.

    Raises:
        InputError: the archive is damaged.
    """
    try:
        yield
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno not in OF_THE_ARCHIVE:
            raise
        raise InputError(f"{shown(archive)}: damaged archive: {error}") from None


def unpack(archive: Path, folder: Path, targets: Sequence[Path], most: int, check: Callable[[Path], object]) -> None:
    """Extract files by name from any folder of an archive.

    All files are extracted to a temporary folder and checked before the first one is moved to its target.

    Args:
        archive: tar.gz or zip archive.
        folder: folder that contains the targets.
        targets: paths of the extracted files, whose names select the members.
        most: maximum size of each file in bytes.
        check: function that raises an InputError if an extracted file is invalid.

    Raises:
        InputError: a file is missing, occurs twice, is too large or invalid; a member has an absolute path or one with
            "..", or is a link or device; the archive has too many members, is too large in total, or is damaged.
    """
    with scratch_folder(folder) as scratch:
        with readable(archive):
            _unpack(archive, scratch, {target.name for target in targets}, most, check)
        for target in targets:
            move(scratch / target.name, target)


def _unpack(archive: Path, scratch: Path, wanted: set[str], most: int, check: Callable[[Path], object]) -> None:
    lacking = set(wanted)
    for member, size, content in _members(archive):
        name = PurePosixPath(member).name
        if name not in wanted:
            continue
        if name not in lacking:
            raise _refused(archive, member, f"a second {name}", "one")
        if size > most:
            raise _refused(archive, member, f"{size} bytes", f"{most} at most")
        with open(scratch / name, "wb") as file:
            shutil.copyfileobj(content(), file, PIECE)
        _checked(archive, member, partial(check, scratch / name))
        lacking.remove(name)
    if lacking:
        more = f", nor {len(lacking) - 1} more" if len(lacking) > 1 else ""
        raise InputError(f"{shown(archive)}: contains no {min(lacking)}{more}")


def _refused(archive: Path, member: str, found: str, allowed: str) -> InputError:
    return InputError(f"{shown(archive)}: member {member!r}: found {found}, allowed: {allowed}")


def _checked(archive: Path, member: str, check: Callable[[], object]) -> None:
    try:
        check()
    except InputError as error:
        raise InputError(f"{shown(archive)}: member {member!r}: {error}") from None


Member = tuple[str, int, Callable[[], Any]]


def _members(archive: Path) -> Iterator[Member]:
    """Yield name, size and opener of each file, after checks of its path and kind and of the totals so far."""
    total = 0
    for count, (name, size, kind, content) in enumerate(_entries(archive), start=1):
        total += size
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise _refused(archive, name, "a path outside the folder", "a relative path without ..")
        if kind not in ("file", "folder"):
            raise _refused(archive, name, f"a {kind}", "files and folders")
        if count > MOST_MEMBERS or total > MOST_BYTES:
            raise _refused(archive, name, f"{count} members of {total} bytes", f"{MOST_MEMBERS} of {MOST_BYTES}")
        if kind == "file":
            yield str(path), size, content


def _entries(archive: Path) -> Iterator[tuple[str, int, str, Callable[[], Any]]]:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for info in zipped.infolist():
                yield info.filename, info.file_size, _zip_kind(info), partial(zipped.open, info)
        return
    with gzip.open(archive) as stream, tarfile.open(fileobj=stream) as tar:
        for member in tar:
            yield member.name, member.size, _tar_kind(member), partial(tar.extractfile, member)
        _read_to_the_end(archive, stream)


def _read_to_the_end(archive: Path, stream: gzip.GzipFile) -> None:
    """Read on to gzip's checksum at the end of the file, which tarfile does not reach."""
    while stream.read(PIECE):
        if stream.tell() > MOST_BYTES:
            raise _refused(archive, "after the last", f"more than {MOST_BYTES} bytes", "fewer")


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.is_dir():
        return "folder"
    return "file" if not stat.S_IFMT(mode) or stat.S_ISREG(mode) else "link or device"


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "folder"
    return "file" if member.isreg() else "link" if member.issym() or member.islnk() else "device"
