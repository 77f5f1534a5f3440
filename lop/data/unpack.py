"""Members of tar.gz and zip archives that nobody has to trust: only those that are wanted, under names of our own."""

import gzip
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from lop.errors import InputError
from lop.files import atomic_file
from lop.paths import shown

MOST_MEMBERS = 20_000
MOST_BYTES = 40 * 2**30  # all members together, unpacked
_BROKEN = (tarfile.TarError, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, zlib.error, RuntimeError)


def unpack(
    archive: Path, target_of: Callable[[str], Path | None], most: int, check: Callable[[Path, Path], object]
) -> list[Path]:
    """Unpack the files for whose names in the archive `target_of` gives a path; returns those paths.

    Each is written under a temporary name, put to `check(temporary, target)`, and then renamed. InputError if a member
    is absolute, leaves the folder with "..", is a link or a device, or holds more than `most` bytes, if all together
    are out of proportion, or if the archive is damaged.
    """
    done = []
    try:
        for name, size, content in _members(archive):
            target = target_of(name)
            if target is None:
                continue
            if size > most:
                raise _refused(archive, name, f"{size} bytes", f"{most} at most")
            with atomic_file(target) as temporary:
                with open(temporary, "wb") as file:
                    shutil.copyfileobj(content(), file, 2**20)
                _checked(archive, name, partial(check, temporary, target))
            done.append(target)
    except _BROKEN as error:
        raise InputError(f"{shown(archive)}: not a whole archive: {' '.join(str(error).split())}") from None
    return done


def _refused(archive: Path, member: str, found: str, allowed: str) -> InputError:
    return InputError(f"{shown(archive)}: member {member!r}: found {found}, allowed: {allowed}")


def _checked(archive: Path, member: str, check: Callable[[], object]) -> None:
    try:
        check()
    except InputError as error:
        raise InputError(f"{shown(archive)}: member {member!r}: {error}") from None


Member = tuple[str, int, Callable[[], Any]]


def _members(archive: Path) -> Iterator[Member]:
    """Name, size and content of each file, once its name and kind, and the number and size of all, are known good."""
    total = 0
    for count, (name, size, kind, content) in enumerate(_entries(archive), start=1):
        total += size
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts:
            raise _refused(archive, name, "a path out of the folder", "one below it")
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
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            yield member.name, member.size, _tar_kind(member), partial(tar.extractfile, member)


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.is_dir():
        return "folder"
    return "file" if not stat.S_IFMT(mode) or stat.S_ISREG(mode) else "link or device"


def _tar_kind(member: tarfile.TarInfo) -> str:
    if member.isdir():
        return "folder"
    return "file" if member.isreg() else "link" if member.issym() or member.islnk() else "device"
