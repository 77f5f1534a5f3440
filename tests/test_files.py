"""Atomic writes, leftovers of killed processes, and unreadable files."""

import errno
import os
import time
from pathlib import Path

import pytest
from refusals import refusal

from lop.common.files import ABANDONED, atomic_file, read_json, remove_leftovers


def test_file_is_complete_or_absent(tmp_path):
    path = tmp_path / "new" / "file"
    with atomic_file(path) as temporary:
        temporary.write_text("one")
        assert not path.exists()
    with pytest.raises(UnicodeEncodeError), atomic_file(path) as temporary:
        temporary.write_text("\ud800")
    assert path.read_text() == "one"
    assert list(path.parent.iterdir()) == [path]


def test_temporary_names_differ_even_for_equal_process_ids(tmp_path):
    """Processes in two containers may have the same process ID."""
    with atomic_file(tmp_path / "file") as first, atomic_file(tmp_path / "file") as second:
        assert first != second
        first.touch()
        second.touch()


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    old, young, other = (tmp_path / f".{name}.0.tmp" for name in ("file", "file.1", "other"))
    for path in (old, young, other):
        path.touch()
    for path in (old, other):
        os.utime(path, times=(0, time.time() - 2 * ABANDONED))
    with atomic_file(tmp_path / "file") as temporary:
        temporary.touch()
    assert {path.name for path in tmp_path.iterdir()} == {"file", young.name, other.name}
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("folder", ["/", "."])
def test_path_without_a_name_is_refused_as_a_folder(folder):
    with pytest.raises(IsADirectoryError) as raised, atomic_file(Path(folder)):
        pass
    assert raised.value.filename == folder


def test_failed_write_names_the_file_and_not_the_temporary_one(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space") as raised, atomic_file(path) as temporary:
        raise OSError(errno.ENOSPC, "No space left", str(temporary))
    assert raised.value.filename == str(path)
    with pytest.raises(OSError, match="gone") as raised, atomic_file(path):
        raise OSError(errno.ENOENT, "gone", "source.txt")
    assert raised.value.filename == "source.txt"


def test_unreadable_json_file_is_not_treated_as_missing(tmp_path):
    assert read_json(tmp_path / "none.json") == {}
    with refusal(tmp_path, os.strerror(errno.EISDIR)):
        read_json(tmp_path)
