"""Content digests and their cache, files of checksums, and the identity of image sets."""

import errno
import gzip
import hashlib
import os

import pytest
from refusals import refusal

from lop.common.sources import combined
from lop.data.checksums import Checksums, content_digest, record, sha256
from lop.data.formats import read_class
from lop.data.sets import DATA, ImageSource


def test_digest_depends_on_content_and_not_on_compression(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"content", 9, mtime=1))
    one = content_digest([path])
    path.write_bytes(gzip.compress(b"content", 1, mtime=2))
    assert content_digest([path]) == one
    path.write_bytes(gzip.compress(b"CONTENT", 1, mtime=2))
    assert content_digest([path]) != one


@pytest.mark.parametrize("bit", [0, 7, 8 * 6])
def test_a_flipped_bit_since_the_creation_of_a_file_is_found(tmp_path, bit):
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    before = content_digest([path])
    record([path])
    assert content_digest([path]) == before
    status, content = path.stat(), bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with refusal(path, tmp_path / ".a.bin.sha256", "delete"):
        content_digest([path])
    record([path])
    assert content_digest([path]) != before


def test_damaged_file_of_checksums_is_rejected(tmp_path):
    (tmp_path / "checksums.json").write_text("{")
    with refusal("checksums.json", "JSON"):
        Checksums(tmp_path / "checksums.json").of("file")


def test_error_names_the_missing_file(tmp_path):
    with refusal(tmp_path / "a.bin"):
        content_digest([tmp_path / "a.bin"])


PACKED = gzip.compress(b"content")


@pytest.mark.parametrize(
    "content",
    [PACKED[:-1], PACKED[:-8] + bytes(8), PACKED[:10] + b"\xff" + PACKED[11:]],
    ids=["truncated", "wrong checksum", "invalid data"],
)
def test_damaged_gzip_file_has_no_checksum(tmp_path, content):
    path = tmp_path / "a.gz"
    path.write_bytes(content)
    with refusal(path):
        sha256(path)


def test_unreadable_or_removed_file_has_no_checksum(tmp_path):
    with refusal(tmp_path, os.strerror(errno.EISDIR)):
        sha256(tmp_path)
    path = tmp_path / "a.bin"
    path.write_bytes(b"content")
    record([path])
    path.unlink()
    with refusal(path):
        content_digest([path])


def test_file_with_a_damaged_header_has_a_digest(tmp_path):
    """The reader of the file reports the damage."""
    path = tmp_path / "0.npy"
    path.write_bytes(b"no header")
    assert content_digest([path]) == combined({"0.npy": hashlib.sha256(b"no header").hexdigest()})
    with refusal(path):
        read_class(path)


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
