"""Files that are either complete or absent, and JSON files."""

import errno
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from lop.common.errors import InputError
from lop.common.paths import shown

ABANDONED = 86_400.0  # seconds after which a temporary file is assumed to be abandoned


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success, sync that file and rename it to `path`.

    If the block raises, the temporary file is removed and an existing `path` is left unchanged. The temporary name is
    random, hence unique across processes, containers and hosts. Temporary files that killed processes left for the same
    `path` are removed after a day.
    """
    path = Path(path)
    if not path.name:
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name, ABANDONED)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        if error.filename in (None, str(temporary)):  # a failed write, as on a full disk, does not name the file
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_leftovers(folder: Path, name: str = "*", older_than: float = 0.0) -> None:
    """Delete the temporary files that killed processes left in a folder, for one file or for all.

    Only files at least `older_than` seconds old are deleted.
    """
    for leftover in folder.glob(f".{name}.*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - leftover.stat().st_mtime >= older_than:
                leftover.unlink()


def mapping_of(text: str | bytes) -> dict[str, Any]:
    """Return the mapping in a JSON document.

    Raises:
        ValueError: the document is not valid JSON, or not a mapping.
    """
    try:
        content = json.loads(text)
    except RecursionError:
        raise ValueError("too many levels") from None
    if not isinstance(content, dict):
        raise ValueError(f"found {type(content).__name__}, allowed: a mapping")
    return content


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a JSON file; an empty one if the file does not exist.

    Raises:
        InputError: the file cannot be read, or is not a JSON mapping.
    """
    try:
        return mapping_of(path.read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{shown(path)}: not a JSON mapping: {error}") from None


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a mapping to a JSON file atomically."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", "utf-8")
