"""Damaged image files, archives and checksums are read correctly, or refused in one line that names the file."""

import gzip
import io
import json
import pickle
import tarfile

import numpy as np
import pytest
from hostile import archive, damaged, fed, npy
from refusals import refusal
from test_unpack import special, tar_gz, zipped

from lop.data import formats, imagenet32
from lop.data.checksums import Checksums, content_digest, record, sha256
from lop.data.formats import read_cifar100, read_class, read_idx, write_class, write_idx, write_records
from lop.data.imagenet32 import build_classes
from lop.data.unpack import unpack

SHAPES = ((2**40,), (2**62, 2**62), (-1,), (0,), (1, 1, 2, 2), (1,) * 100, "x", (2**63,), (1.5,), (True,), ())
STRIDES = [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
DTYPES = ("<f4", ">f4", "|O", "|V100", "<U1000000", "junk", [("a", "<f4")], "<M8[ns]", "<f2", "<f16")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_classes(stride, tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(formats, "CLASS_SHAPE", (1, 1, 2, 2))
    path = tmp_path / "0.npy"
    write_class(path, np.zeros((1, 1, 2, 2), np.float32))
    good = path.read_bytes()
    cases = [*damaged(good, 300), *(npy(shape, dtype) for shape in SHAPES for dtype in DTYPES)]
    cases += [npy((1, 1, 2, 2), "<f4", np.full(4, value, "<f4").tobytes()) for value in (np.nan, np.inf, 2)]
    cases += [b"\x93NUMPY\x02\x00\xff\xff\xff\x7fx", b"\x93NUMPY\x09\x00" + good[8:], archive(("0.npy", good))]
    cases += [b"\x93NUMPY\x01\x00\x10\x00__import__('os')", pickle.dumps(np.zeros((1, 1, 2, 2), np.float32))]
    record_property("faults", fed(path, cases[::stride], lambda: read_class(path)))


@pytest.mark.parametrize("dtype", ["|V0", "|S0", "<f4"])
def test_negative_dimensions_are_refused_before_the_file_is_mapped(dtype, tmp_path):
    """NumPy divides by zero when it maps a file with elements of no size and a negative dimension."""
    path = tmp_path / "0.npy"
    path.write_bytes(npy((-1,), dtype))
    with refusal("0.npy", "(-1,)"):
        content_digest([path])


@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_idx(stride, tmp_path, record_property):
    path = tmp_path / "images.gz"
    write_idx(path, np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    raw = gzip.decompress(path.read_bytes())
    headers = [(2051, -1, 2, 2), (2051, 2**31 - 1, 2**31 - 1, 2**31 - 1), (2051, 0, 0, 0), (2050, 3, 2, 2)]
    cases = [*damaged(path.read_bytes(), 200), raw, 2 * gzip.compress(raw), gzip.compress(bytes(50_000_000), 1)]
    cases += [gzip.compress(np.array(header, ">i4").tobytes() + raw[16:]) for header in headers]
    record_property("faults", fed(path, cases[::stride], lambda: read_idx(path, (3, 2, 2))))


@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_records(stride, tmp_path, record_property):
    path = tmp_path / "train.bin"
    write_records(path, [(np.array([1, 2]), np.array([7, 99]), np.zeros((2, 3, 32, 32), np.uint8))])
    good = path.read_bytes()
    cases = [*damaged(good, 100), *(bytes([label]) + good[1:] for label in range(256))]
    record_property("faults", fed(path, cases[::stride], lambda: read_cifar100(path, 2)["fine"].max() < 100))


def test_hostile_checksums(tmp_path, record_property):
    image, pins = tmp_path / "x.bin", tmp_path / "checksums.json"
    image.write_bytes(b"abc")
    record([image])
    stored = tmp_path / ".x.bin.sha256"
    number = fed(stored, [*damaged(stored.read_bytes(), 100), b"\n\n", bytes(10**7)], lambda: content_digest([image]))
    values = (None, 3, "", [1], {"a": 1}, "x" * 64)
    cases = [json.dumps({"x.bin": value}).encode() for value in values] + [b"[" * 100_000, b"null", b"[]"]
    pinned = json.dumps({"x.bin": sha256(image)}).encode()
    number += fed(pins, [*damaged(pinned, 100), *cases], lambda: Checksums(pins, {}).check(image, "x.bin"))
    record_property("faults", number)


def test_stored_checksums_of_another_form(tmp_path):
    """Those of earlier versions hold only the checksum of the contents, which is verified; others are refused."""
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"content"))
    digest, stored = content_digest([path]), tmp_path / ".a.gz.sha256"
    stored.write_text(f"{sha256(path)}\n")
    assert content_digest([path]) == digest
    for damage in (stored.read_text()[:-2], f"{sha256(path)} \n", "é"):
        stored.write_text(damage)
        with refusal(stored, "a.gz", "delete"):
            content_digest([path])
    stored.write_text(f"{'0' * 64}\n")
    with refusal(path, "0" * 64, sha256(path)):
        content_digest([path])


MEMBERS = ("../a.bin", "/a.bin", "x/../../a.bin", "..\\a.bin", "a.bin/", ".", "..", "C:\\a.bin", "a\nb")


@pytest.mark.parametrize("pack", [tar_gz, zipped])
@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_archives_write_nothing_outside_of_their_folder(stride, pack, tmp_path, record_property):
    path, folder = tmp_path / "archive", tmp_path / "in" / "out"
    pack(path, ("d/a.bin", 20 * b"good"), ("other", 500 * b"x"))
    cases = [*damaged(path.read_bytes(), 250)]
    for name in MEMBERS:
        pack(path, (name, b"evil"), ("a.bin", b"good"))
        cases.append(path.read_bytes())
    if pack is tar_gz:
        tar_gz(path, ("d/a.bin", 20 * b"good"), ("other", 500 * b"x"))
        cases += [gzip.compress(inside, 1) for inside in damaged(gzip.decompress(path.read_bytes())[:3_000], 400)]
        kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"S", b"g")
        cases += [tar_gz(path, special("a.bin", kind), ("a.bin", b"evil")).read_bytes() for kind in kinds]
    number = fed(path, cases[::stride], lambda: unpack(path, folder, [folder / "a.bin"], 1_000, lambda file: None))
    assert {file for file in tmp_path.rglob("*") if file.is_file()} <= {path, folder / "a.bin"}
    record_property("faults", number)


def npz(**arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


LABELS, IMAGES = np.array([1, 1, 2, 2]), np.zeros((4, 3072), np.uint8)


def other_batches():
    """Yield npz files with other labels and images than those of two classes."""
    others = (LABELS.astype(float), LABELS[:3], np.array([]), np.array([], int), LABELS.reshape(2, 2), np.array(3))
    others += (LABELS - 1, LABELS + 1, -LABELS, np.ones(4, int), np.full(4, 2**63, np.uint64), LABELS.astype("U1"))
    yield from (npz(data=IMAGES, labels=labels) for labels in (*others, LABELS.astype(object), np.full(4, np.nan)))
    images = (
        IMAGES.astype(float),
        IMAGES[:, :10],
        IMAGES[:3],
        IMAGES.ravel(),
        np.array(3, np.uint8),
        IMAGES.astype(object),
    )
    yield from (npz(data=data, labels=LABELS) for data in images)
    yield from (
        npz(labels=LABELS),
        npz(data=IMAGES),
        b"",
        b"x",
        archive(("labels.npy", npy((4,), "|O", pickle.dumps([1])))),
    )
    yield archive(("labels.npy", npy((2**40,), "<i8")), ("data.npy", npy((2**40, 3072), "|u1")))


@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_official_archives(stride, tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(imagenet32, "CLASS_SHAPE", (2, 3, 32, 32))
    path = tmp_path / "official.zip"
    good = archive(("train_data_batch_1.npz", npz(data=IMAGES, labels=LABELS)))
    cases = [*damaged(good, 200), archive(), *(archive(("1.npz", batch)) for batch in other_batches())]
    number = fed(path, cases[::stride], lambda: build_classes(path, tmp_path / "built", 0, 2))
    record_property("faults", number)
    path.write_bytes(archive(("1.npz", npz(data=IMAGES[:0], labels=LABELS[:0]))))
    with refusal(path, "no labels", 2):
        build_classes(path, tmp_path / "built", 0, 2)
