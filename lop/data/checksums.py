"""SHA-256 checksums of files: known ones, ones pinned on first use, and ones stored beside files when they are created.

All of them are of contents: those of a gzip file are decompressed first, so that it does not matter who compressed it.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from lop.common import sources
from lop.common.errors import InputError
from lop.common.files import atomic_file, read_json, write_json
from lop.common.paths import shown

KNOWN = {
    "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    "Imagenet32_train_npz.zip": "94226337ecc1b0309d9fcd0167127aaadc931587035fbcb53925235edbaec4fc",
}
GZIP_MAGIC = b"\x1f\x8b"


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's contents, decompressed if it is a gzip file, in hexadecimal digits.

    Raises:
        InputError: the file is missing, unreadable, or a damaged gzip file.
    """
    try:
        with open(path, "rb") as file:
            compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
            file.seek(0)
            with gzip.open(file) if compressed else nullcontext(file) as content:
                return hashlib.file_digest(content, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: no such file") from None
    except EOFError:
        raise InputError(f"{shown(path)}: the file is truncated") from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{shown(path)}: damaged gzip file: {error}") from None
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror or error}") from None


class Checksums:
    """Expected checksums of files.

    Args:
        pins: JSON file with the checksums of files that were pinned on first use.
        known: {name: SHA-256} of published files; takes precedence over `pins`.
    """

    def __init__(self, pins: Path, known: dict[str, str] = KNOWN):
        self.pins, self.known = pins, known

    def of(self, name: str) -> str | None:
        """Return the expected checksum of the file with a name, or None if there is none."""
        return self.known.get(name) or read_json(self.pins).get(name)

    def check(self, path: Path, name: str) -> None:
        """Check a file against its expected checksum, if there is one.

        Raises:
            InputError: the checksums differ.
        """
        expected = self.of(name)
        if expected is not None and (found := sha256(path)) != expected:
            why = "" if name in self.known else f", as in {shown(self.pins)}"
            raise InputError(f"{shown(path)}: found sha256 {found}, allowed: {expected}{why}")

    def pin(self, path: Path, name: str) -> None:
        """Store the checksum of a valid file as the expected one, unless it already has an expected one."""
        self.pin_all({name: path})

    def pin_all(self, files: dict[str, Path]) -> None:
        """Pin several files, given as {name: path}; see `pin`."""
        found = {name: sha256(path) for name, path in files.items() if self.of(name) is None}
        if found:
            write_json(self.pins, {**read_json(self.pins), **found})
            (name, digest), *others = found.items()
            more = f" (and {len(others)} more files)" if others else ""
            print(f"{name}: sha256 {digest}{more}, pinned as the only one allowed in {shown(self.pins)}", flush=True)


def record(files: Iterable[Path]) -> None:
    """Store two checksums of each file beside it: of the file as it is, and of its decompressed contents."""
    for path in files:
        with atomic_file(_recorded(path)) as temporary:
            temporary.write_text(f"{_of_bytes(path)} {sha256(path)}\n")


def content_digest(files: Iterable[Path]) -> str:
    """Return one digest of the names and the decompressed contents of files.

    Raises:
        InputError: a file is missing or damaged, or differs from its checksum stored by `record`, if there is one.
    """
    return sources.combined({path.name: _verified(path) for path in sorted(files)})


def _verified(path: Path) -> str:
    """Return the checksum of a file's contents; with stored checksums, this needs no decompression."""
    if path.suffix == ".npy":
        _check_header(path)
    recorded = _recorded(path)
    if not recorded.is_file():
        return sha256(path)
    stored = re.fullmatch("([0-9a-f]{64})(?: ([0-9a-f]{64}))?\n", recorded.read_text("ascii", "replace"))
    if not stored:
        raise InputError(f"{shown(recorded)}: damaged; delete it and {path.name} to create them again")
    expected, contents = stored.groups()  # older versions of lop stored only the checksum of the contents
    if (found := _of_bytes(path) if contents else sha256(path)) != expected:
        raise InputError(
            f"{shown(path)}: found sha256 {found}, allowed: {expected}, as in {shown(recorded)} since it was "
            "created; delete both to create it again"
        )
    return contents or found


def _check_header(path: Path) -> None:
    """Refuse a .npy file with a negative dimension, which can crash NumPy when it maps the file into memory."""
    try:
        with open(path, "rb") as file:
            version, _ = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == 1 else np.lib.format.read_array_header_2_0
            shape, _, _ = read(file)
    except Exception:  # a damaged header can make NumPy raise anything; `read_class` reports it
        return
    if any(size < 0 for size in shape):
        raise InputError(f"{shown(path)}: found shape {shape}, allowed: no negative dimension")


def _of_bytes(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{shown(path)}: {(error.strerror or 'cannot be read').lower()}") from None


def _recorded(path: Path) -> Path:
    return path.with_name(f".{path.name}.sha256")
