"""Digests of data: of contents, once as long as a file does not change; and of what makes built-in data."""

import gzip
import json
import os

import pytest

from lop.common.errors import InputError
from lop.data import checksums
from lop.data.checksums import Checksums, content_digest
from lop.data.sets import DATA, Images


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


def test_a_spoilt_cache_is_none(tmp_path):
    path, cache = tmp_path / "a.bin", tmp_path / ".digests.json"
    path.write_bytes(b"content")
    digest = content_digest([path])
    key = json.loads(cache.read_text())["a.bin"][:3]
    for spoilt in (b"{", b"[]", b"\xff", json.dumps({"a.bin": 3}).encode(), json.dumps({"a.bin": key}).encode()):
        cache.write_bytes(spoilt)
        assert content_digest([path]) == digest
    assert list(json.loads(cache.read_text())) == ["a.bin"]


def test_a_folder_that_cannot_be_written_to_will_do(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    digest = content_digest([path])
    (tmp_path / ".digests.json").unlink()
    (tmp_path / ".digests.json").mkdir()  # a read-only folder's stands for nothing where root runs the tests
    assert content_digest([path]) == digest
    assert [found.name for found in tmp_path.iterdir() if found.name.endswith(".tmp")] == []


def test_spoilt_checksums_are_told(tmp_path):
    (tmp_path / "checksums.json").write_text("{")
    with pytest.raises(InputError, match="delete it to start anew"):
        Checksums(tmp_path / "checksums.json").of("file")


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match=r"a\.bin: no such file"):
        content_digest([tmp_path / "a.bin"])


def test_what_makes_a_set():
    drawn = Images("glyphs", 0).identity("mnist")
    assert drawn == Images("glyphs", 0).identity("mnist") == Images("glyphs", "0").identity("mnist")
    assert drawn | {"seed": 1} == Images("glyphs", 1).identity("mnist") != drawn
    assert Images("original", 0).identity("mnist") == Images("original", 1).identity("mnist") == {"source": "original"}
    assert Images("original", 1).identity("imagenet") == {"source": "original", "seed": 1}


def test_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed of data: found -1, allowed: 0 or more"):
        Images("glyphs", -1)


def test_files_of_a_set():
    folder = DATA / "original" / "cifar-100"
    assert Images("original", 5).files("cifar-100") == [folder / "train.bin", folder / "test.bin"]
    assert [path.name for path in Images().files("imagenet", classes=[3, 999])] == ["3.npy", "999.npy"]
    assert len(Images().files("mnist")) == 4
    with pytest.raises(InputError, match="set of data: found 'minst', allowed: mnist, cifar-100, imagenet"):
        Images().files("minst")
    with pytest.raises(InputError, match="source of data: found 'here', allowed: glyphs, original"):
        Images("here")
