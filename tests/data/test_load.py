"""Loaders read files back as written, and errors about damaged files name the file."""

import gzip
import pickle
import random
from contextlib import suppress

import numpy as np
import pytest
from refusals import refusal

from lop.common.errors import InputError
from lop.data import formats, load
from lop.data.formats import (
    CIFAR_RECORD,
    CLASS_SHAPE,
    read_cifar100,
    read_class,
    read_idx,
    write_class,
    write_idx,
    write_records,
)


@pytest.fixture
def idx(tmp_path):
    """Return an IDX file of three images of 2 x 2 pixels."""
    path = tmp_path / "images.gz"
    write_idx(path, np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    return path


def regzip(path, change):
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def test_idx_files_round_trip_and_are_reproducible(idx, tmp_path):
    assert np.array_equal(read_idx(idx, (3, 2, 2)), np.arange(12).reshape(3, 2, 2))
    other = tmp_path / "other.gz"
    write_idx(other, read_idx(idx, (3, 2, 2)))
    assert other.read_bytes() == idx.read_bytes()
    assert gzip.decompress(idx.read_bytes())[:16].hex() == "00000803000000030000000200000002"
    assert not list(tmp_path.glob(".*"))


def test_idx_labels_match_handwritten_bytes(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(bytes.fromhex("00000801 00000003 05 00 09")))
    assert read_idx(path, (3,), 10).tolist() == [5, 0, 9]
    with refusal(path, 9, 8):
        read_idx(path, (3,), 9)


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        (lambda x: b"\0\0\x08\x01" + x[4:], (2049, 2051)),
        (lambda x: x[:4] + b"\0\0\0\4" + x[8:], ((4, 2, 2), (3, 2, 2))),
        (lambda x: x[:-1], (11, 12)),
        (lambda x: x + b"more", (12,)),
        (lambda x: x[:9], (9, 16)),
    ],
)
def test_damaged_idx_is_rejected(idx, change, facts):
    regzip(idx, change)
    with refusal(idx, *facts):
        read_idx(idx, (3, 2, 2))


@pytest.mark.parametrize(
    ("damage", "facts"),
    [
        (lambda whole: whole[:-9], ()),
        (lambda whole: whole[:-8] + bytes(4) + whole[-4:], ("gzip", "CRC")),
        (lambda whole: whole[:14] + bytes([255] * 8) + whole[22:], ("gzip",)),
        (lambda whole: b"<html>", ("gzip",)),
    ],
)
def test_damaged_gzip_is_rejected(idx, damage, facts):
    idx.write_bytes(damage(idx.read_bytes()))
    with refusal(idx, *facts):
        read_idx(idx, (3, 2, 2))


@pytest.mark.parametrize(("read", "arguments"), [(read_idx, ((3, 2, 2),)), (read_cifar100, (2,)), (read_class, ())])
def test_error_names_the_missing_file(read, arguments, tmp_path):
    with refusal(tmp_path / "file"):
        read(tmp_path / "file", *arguments)


def test_mnist_is_read_from_four_files(tmp_path):
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", np.full((count, 28, 28), 3, np.uint8))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte.gz", np.arange(count) % 10)
    mnist = load.mnist(tmp_path)
    assert mnist.train.images.shape == (60_000, 28, 28)
    assert mnist.test.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert not mnist.train.images.flags.writeable


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "train.bin"
    fine = np.array([7, 99], np.uint8)
    write_records(
        path, [(fine // 5, fine, np.arange(2 * 3072, dtype=np.uint64).reshape(2, 3, 32, 32).astype(np.uint8))]
    )
    return path


def test_cifar100_records_match_handwritten_bytes(records):
    content = records.read_bytes()
    assert len(content) == 2 * 3074
    assert content[:5] == bytes([1, 7, 0, 1, 2])  # coarse, fine, then red, row by row
    assert content[3074:3076] == bytes([19, 99])
    found = read_cifar100(records, 2)
    assert found["fine"].tolist() == [7, 99]
    assert found["image"][0, 1, 0, 1] == 1024 % 256 + 1  # green
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable


def test_damaged_cifar100_is_rejected(records):
    content = records.read_bytes()
    assert CIFAR_RECORD.itemsize == 3074
    for damaged, facts in (
        (content[:-1], (6147, 2, 3074)),
        (bytes([20]) + content[1:], (20, 19)),  # coarse label
        (content[:1] + bytes([100]) + content[2:], (100, 99)),  # fine label
    ):
        records.write_bytes(damaged)
        with refusal(records, *facts):
            read_cifar100(records, 2)


def test_imagenet_class_is_memory_mapped_and_split(tmp_path):
    images = np.linspace(-0.5, 0.5, 700 * 3072, dtype=np.float32).reshape(CLASS_SHAPE)
    write_class(tmp_path / "classes/4.npy", images)
    train, test = load.imagenet_class(tmp_path, 4)
    assert np.array_equal(train, images[:600])
    assert np.array_equal(test, images[600:])
    assert isinstance(train, np.memmap)


def test_damaged_class_is_rejected(tmp_path):
    path = tmp_path / "0.npy"
    good = np.zeros(CLASS_SHAPE, np.float32)
    for array, facts in (
        (good[:600], ((600, 3, 32, 32), (700, 3, 32, 32))),
        (good.astype(np.uint8), ("uint8", "float32", "float64")),
        (good + 2, (2, 1)),
        (good + np.nan, ("nan", 1)),
    ):
        np.save(path, array)
        with refusal(path, *facts):
            read_class(path)
    write_class(path, good)
    for content in (path.read_bytes()[:-1], b"", b"PK\3\4 no zip"):
        path.write_bytes(content)
        with refusal(path):
            read_class(path)


class Trap:
    """Fail the test when unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "0.npy"
    path.write_bytes(pickle.dumps(Trap()))
    with refusal(path):
        read_class(path)
    np.save(path, np.array([Trap()], object), allow_pickle=True)
    with refusal(path):
        read_class(path)


@pytest.mark.filterwarnings("ignore")
def test_damaged_header_of_a_class_raises_only_input_errors(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "CLASS_SHAPE", (1, 1, 2, 2))
    path, rng = tmp_path / "0.npy", random.Random(0)
    write_class(path, np.zeros((1, 1, 2, 2), np.float32))
    whole = path.read_bytes()
    for _ in range(500):
        place = rng.randrange(len(whole) - 16)
        path.write_bytes(whole[:place] + rng.randbytes(rng.choice((1, 2))) + whole[place + 1 :])
        with suppress(InputError):
            read_class(path)
