"""Content digests and their cache, files of checksums, and the identity of image sets."""

import gzip
import json
import os

import pytest
from refusals import refusal

from lop.data import checksums
from lop.data.checksums import Checksums, content_digest
from lop.data.sets import DATA, ImageSource


def test_digest_depends_on_content_and_not_on_compression(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"content", 9, mtime=1))
    one = content_digest([path])
    path.write_bytes(gzip.compress(b"content", 1, mtime=2))
    assert content_digest([path]) == one
    path.write_bytes(gzip.compress(b"CONTENT", 1, mtime=2))
    assert content_digest([path]) != one


def test_unchanged_files_are_not_read_again(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    one = content_digest([path])
    monkeypatch.setattr(checksums.hashlib, "file_digest", None)
    assert content_digest([path]) == one
    os.utime(path, ns=(0, 0))
    with pytest.raises(TypeError):
        content_digest([path])


def test_damaged_cache_is_ignored(tmp_path):
    path, cache = tmp_path / "a.bin", tmp_path / ".digests.json"
    path.write_bytes(b"content")
    digest = content_digest([path])
    key = json.loads(cache.read_text())["a.bin"][:3]
    for spoilt in (b"{", b"[]", b"\xff", json.dumps({"a.bin": 3}).encode(), json.dumps({"a.bin": key}).encode()):
        cache.write_bytes(spoilt)
        assert content_digest([path]) == digest
    assert list(json.loads(cache.read_text())) == ["a.bin"]


def test_digest_needs_no_writable_folder(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    digest = content_digest([path])
    (tmp_path / ".digests.json").unlink()
    (tmp_path / ".digests.json").mkdir()  # unlike a read-only folder, root cannot write to this either
    assert content_digest([path]) == digest
    assert [found.name for found in tmp_path.iterdir() if found.name.endswith(".tmp")] == []


def test_damaged_file_of_checksums_is_rejected(tmp_path):
    (tmp_path / "checksums.json").write_text("{")
    with refusal("checksums.json", "JSON"):
        Checksums(tmp_path / "checksums.json").of("file")


def test_error_names_the_missing_file(tmp_path):
    with refusal(tmp_path / "a.bin"):
        content_digest([tmp_path / "a.bin"])


def test_identity_includes_the_seed_if_images_depend_on_it():
    drawn = ImageSource("glyphs", 0).identity("mnist")
    assert drawn == ImageSource("glyphs", 0).identity("mnist") == ImageSource("glyphs", "0").identity("mnist")
    assert drawn | {"seed": 1} == ImageSource("glyphs", 1).identity("mnist") != drawn
    assert (
        ImageSource("original", 0).identity("mnist")
        == ImageSource("original", 1).identity("mnist")
        == {"source": "original"}
    )
    assert ImageSource("original", 1).identity("imagenet") == {"source": "original", "seed": 1}


def test_negative_seed_is_rejected():
    with refusal("seed", -1):
        ImageSource("glyphs", -1)


def test_files_lists_the_files_of_a_set():
    folder = DATA / "original" / "cifar-100"
    assert ImageSource("original", 5).files("cifar-100") == [folder / "train.bin", folder / "test.bin"]
    assert [path.name for path in ImageSource().files("imagenet", classes=[3, 999])] == ["3.npy", "999.npy"]
    assert len(ImageSource().files("mnist")) == 4
    with refusal("minst", "mnist", "cifar-100", "imagenet"):
        ImageSource().files("minst")
    with refusal("source", "here", "glyphs", "original"):
        ImageSource("here")
    with refusal("'fonts'", "mnist, cifar-100, imagenet"):
        ImageSource(original=("fonts",))


def test_single_sets_can_be_original():
    mixed = ImageSource(seed=2, original=("mnist",))
    for name, like in (("mnist", ImageSource("original", 2)), ("imagenet", ImageSource(seed=2))):
        assert mixed.identity(name) == like.identity(name)
        assert mixed.files(name) == like.files(name)
