"""Atomic writes and leftovers of killed processes."""

import os
import time

import pytest

from lop.common.files import ABANDONED, atomic_file, remove_leftovers


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
