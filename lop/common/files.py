"""Files that are either complete or absent."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

ABANDONED = 86_400.0  # seconds after which a temporary file is assumed to be abandoned


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; on success, sync that file and rename it to `path`.

    If the block raises, the temporary file is removed and an existing `path` is left unchanged. The temporary name is
    random, hence unique across processes, containers and hosts. Temporary files that killed processes left for the same
    `path` are removed after a day.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent, path.name, ABANDONED)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}.tmp")
    try:
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failed write, as on a full disk, does not name the file
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
