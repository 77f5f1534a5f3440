"""Loaders: what was written is read back; each kind of damage is told in one line."""

import gzip
import pickle
import random
from contextlib import suppress

import numpy as np
import pytest

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
    """Three images of 2 by 2 pixels."""
    path = tmp_path / "images.gz"
    write_idx(path, np.arange(12, dtype=np.uint8).reshape(3, 2, 2))
    return path


def refused(read, path, *arguments):
    """The one line with which a file is refused; it names the file."""
    with pytest.raises(InputError) as error:
        read(path, *arguments)
    line = str(error.value)
    assert path.name in line
    assert "\n" not in line
    return line


def regzip(path, change):
    path.write_bytes(gzip.compress(change(gzip.decompress(path.read_bytes()))))


def test_idx_comes_back_and_its_bytes_do_not_depend_on_time_or_name(idx, tmp_path):
    assert np.array_equal(read_idx(idx, (3, 2, 2)), np.arange(12).reshape(3, 2, 2))
    other = tmp_path / "other.gz"
    write_idx(other, read_idx(idx, (3, 2, 2)))
    assert other.read_bytes() == idx.read_bytes()
    assert gzip.decompress(idx.read_bytes())[:16].hex() == "00000803000000030000000200000002"
    assert not list(tmp_path.glob(".*"))


def test_idx_by_hand(tmp_path):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(bytes.fromhex("00000801 00000003 05 00 09")))
    assert read_idx(path, (3,), 10).tolist() == [5, 0, 9]
    assert "found label 9, allowed: 0 to 8" in refused(read_idx, path, (3,), 9)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda x: b"\0\0\x08\x01" + x[4:], "found magic number 2049, allowed: 2051"),
        (lambda x: x[:4] + b"\0\0\0\4" + x[8:], "found shape (4, 2, 2), allowed: (3, 2, 2)"),
        (lambda x: x[:-1], "found 11 bytes of data, allowed: 12"),
        (lambda x: x + b"more", "found more than 12 bytes of data, allowed: 12"),
        (lambda x: x[:9], "found 9 bytes, allowed: a header of 16 bytes"),
    ],
)
def test_damaged_idx(idx, change, told):
    regzip(idx, change)
    assert told in refused(read_idx, idx, (3, 2, 2))


def test_damaged_gzip(idx):
    whole = idx.read_bytes()
    idx.write_bytes(whole[:-9])
    assert "cut off" in refused(read_idx, idx, (3, 2, 2))
    idx.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    assert "not a whole gzip file" in refused(read_idx, idx, (3, 2, 2))
    idx.write_bytes(whole[:14] + bytes([255] * 8) + whole[22:])
    assert "not a whole gzip file" in refused(read_idx, idx, (3, 2, 2))
    idx.write_bytes(b"<html>")
    assert "not a whole gzip file" in refused(read_idx, idx, (3, 2, 2))
    idx.unlink()
    assert "no such file" in refused(read_idx, idx, (3, 2, 2))


def test_mnist_from_four_files(tmp_path):
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


def test_cifar100_records_by_hand(records):
    content = records.read_bytes()
    assert len(content) == 2 * 3074
    assert content[:5] == bytes([1, 7, 0, 1, 2])  # coarse, fine, then red, row by row
    assert content[3074:3076] == bytes([19, 99])
    found = read_cifar100(records, 2)
    assert found["fine"].tolist() == [7, 99]
    assert found["image"][0, 1, 0, 1] == 1024 % 256 + 1  # green
    assert isinstance(found, np.memmap)
    assert not found.flags.writeable


def test_damaged_cifar100(records):
    content = records.read_bytes()
    records.write_bytes(content[:-1])
    assert "found 6147 bytes, allowed: 2 records of 3074" in refused(read_cifar100, records, 2)
    records.write_bytes(bytes([20]) + content[1:])
    assert "found label 20, allowed: 0 to 19" in refused(read_cifar100, records, 2)
    records.write_bytes(content[:1] + bytes([100]) + content[2:])
    assert "found label 100, allowed: 0 to 99" in refused(read_cifar100, records, 2)
    records.unlink()
    assert "no such file" in refused(read_cifar100, records, 2)
    assert CIFAR_RECORD.itemsize == 3074


def test_a_class_comes_back_mapped_and_split(tmp_path):
    images = np.linspace(-0.5, 0.5, 700 * 3072, dtype=np.float32).reshape(CLASS_SHAPE)
    write_class(tmp_path / "classes/4.npy", images)
    train, test = load.imagenet_class(tmp_path, 4)
    assert np.array_equal(train, images[:600])
    assert np.array_equal(test, images[600:])
    assert isinstance(train, np.memmap)


def test_damaged_class(tmp_path):
    path = tmp_path / "0.npy"
    good = np.zeros(CLASS_SHAPE, np.float32)
    for array, told in (
        (good[:600], "found shape (600, 3, 32, 32), allowed: (700, 3, 32, 32)"),
        (good.astype(np.uint8), "found uint8, allowed: float32 or float64"),
        (good + 2, "found a value of size 2, allowed: centred ones"),
        (good + np.nan, "found a value of size nan"),
    ):
        np.save(path, array)
        assert told in refused(read_class, path)
    write_class(path, good)
    path.write_bytes(path.read_bytes()[:-1])
    assert "not a whole .npy file" in refused(read_class, path)
    path.write_bytes(b"")
    assert "not a whole .npy file" in refused(read_class, path)
    path.write_bytes(b"PK\3\4 no zip")
    assert "not a whole .npy file" in refused(read_class, path)
    path.unlink()
    assert "no such file" in refused(read_class, path)


class Trap:
    """Says so if it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def test_pickles_are_never_loaded(tmp_path):
    path = tmp_path / "0.npy"
    path.write_bytes(pickle.dumps(Trap()))
    assert "not a whole .npy file" in refused(read_class, path)
    np.save(path, np.array([Trap()], object), allow_pickle=True)
    assert "not a whole .npy file" in refused(read_class, path)


@pytest.mark.filterwarnings("ignore")
def test_damage_anywhere_in_a_classs_header(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "CLASS_SHAPE", (1, 1, 2, 2))
    path, rng = tmp_path / "0.npy", random.Random(0)
    write_class(path, np.zeros((1, 1, 2, 2), np.float32))
    whole = path.read_bytes()
    for _ in range(500):
        place = rng.randrange(len(whole) - 16)
        path.write_bytes(whole[:place] + rng.randbytes(rng.choice((1, 2))) + whole[place + 1 :])
        with suppress(InputError):
            read_class(path)
