"""Digests of data: of contents, once as long as a file does not change; and of what makes built-in data."""

import gzip
import json
import os

import pytest

from lop.data import checksums
from lop.data.checksums import content_digest, declared_digest
from lop.data.sets import files
from lop.errors import InputError


def test_content_counts_and_packing_does_not(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"content", 9, mtime=1))
    one = content_digest([path])
    path.write_bytes(gzip.compress(b"content", 1, mtime=2))
    assert content_digest([path]) == one
    path.write_bytes(gzip.compress(b"CONTENT", 1, mtime=2))
    assert content_digest([path]) != one


def test_what_did_not_change_is_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    one = content_digest([path])
    monkeypatch.setattr(checksums.hashlib, "file_digest", None)
    assert content_digest([path]) == one
    os.utime(path, ns=(0, 0))
    with pytest.raises(TypeError):
        content_digest([path])


def test_a_spoilt_cache_is_told(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"content")
    (tmp_path / ".digests.json").write_text("{")
    with pytest.raises(InputError, match="delete it to start anew"):
        content_digest([tmp_path / "a.bin"])
    (tmp_path / ".digests.json").write_text(json.dumps({"a.bin": 3}))
    assert content_digest([tmp_path / "a.bin"])


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"a\.bin: no such file"):
        content_digest([tmp_path / "a.bin"])


def test_what_makes_a_set():
    one = declared_digest("mnist", "glyphs", 0)
    assert one == declared_digest("mnist", "glyphs", 0)
    others = [("mnist", "glyphs", 1), ("cifar-100", "glyphs", 0), ("mnist", "original", 0)]
    assert len({one, *(declared_digest(*other) for other in others)}) == 4


def test_files_of_a_set():
    assert [str(path) for path in files("cifar-100", "original")] == [
        "data/original/cifar-100/train.bin",
        "data/original/cifar-100/test.bin",
    ]
    assert [path.name for path in files("imagenet", "glyphs", classes=[3, 999])] == ["3.npy", "999.npy"]
    assert len(files("mnist", "glyphs")) == 4
    with pytest.raises(InputError, match="set of data: found 'minst', allowed: mnist, cifar-100, imagenet"):
        files("minst", "glyphs")
    with pytest.raises(InputError, match="source of data: found 'here', allowed: glyphs, original"):
        files("mnist", "here")
