"""MNIST and CIFAR-100 in the layouts of torchvision, of Python's pickles and of Hugging Face."""

import gzip
import io
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile import damaged, fed
from PIL import Image
from refusals import refusal
from test_unpack import tar_gz

from lop.data import layouts, originals
from lop.data.checksums import Checksums, sha256
from lop.data.formats import read_cifar100, write_records
from lop.data.originals import CIFAR100_PICKLES, Origin
from lop.data.sets import FIXED_FILES

COUNTS = {"train": 5, "test": 2}
RECORDS = {"train.bin": 5, "test.bin": 2}
BYTES_IN_PYTHON_2 = (  # numpy.arange(6, dtype=uint8).reshape(2, 3), in protocol 2 of Python 2
    b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01cnumpy\nndarray\nq\x02K\x00\x85U\x01b\x87Rq\x03(K\x01K\x02K"
    b"\x03\x86cnumpy\ndtype\nq\x04U\x02u1K\x00K\x01\x87Rq\x05(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    b"\x89U\x06\x00\x01\x02\x03\x04\x05tb."
)


@pytest.fixture
def checksums(checksums):
    checksums.known = {}
    return checksums


def part(count: int) -> dict:
    """Return images (count, 3072) and labels, all different."""
    rng = np.random.default_rng(count)
    images = rng.integers(256, size=(count, 3072), dtype=np.uint8)
    return {
        "data": images,
        "fine_labels": rng.integers(100, size=count).tolist(),
        "coarse_labels": rng.integers(20, size=count).tolist(),
    }


def binary(folder, parts: dict[str, dict]) -> dict[str, bytes]:
    """Return the contents of train.bin and test.bin with the given parts."""
    found = {}
    for name, one in parts.items():
        images = one["data"].reshape(-1, 3, 32, 32)
        write_records(folder / name, [(np.array(one["coarse_labels"]), np.array(one["fine_labels"]), images)])
        found[f"{name}.bin"] = (folder / name).read_bytes()
    return found


def png(pixels: np.ndarray) -> dict:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


@pytest.fixture
def small_cifar(monkeypatch):
    monkeypatch.setattr(originals, "CIFAR100_RECORDS", RECORDS)
    return {name: part(count) for name, count in COUNTS.items()}


@pytest.mark.parametrize("folder", layouts.PICKLE_FOLDERS)
@pytest.mark.parametrize("packed", [False, True])
def test_pickles_of_cifar100_are_converted(folder, packed, tmp_path, supplied, checksums, small_cifar):
    files = {
        name: pickle.dumps({key.encode(): value for key, value in one.items()}, 2) for name, one in small_cifar.items()
    }
    if packed:
        tar_gz(supplied / CIFAR100_PICKLES, *((f"{folder}/{name}".strip("/"), data) for name, data in files.items()))
    else:
        for name, data in files.items():
            (supplied / folder).mkdir(exist_ok=True)
            (supplied / folder / name).write_bytes(data)
    originals.cifar100(tmp_path / "cifar", Origin(checksums, supplied))
    found = {path.name: path.read_bytes() for path in (tmp_path / "cifar").iterdir()}
    assert found == binary(tmp_path, small_cifar)
    assert read_cifar100(tmp_path / "cifar/test.bin", 2)["fine"].tolist() == small_cifar["test"]["fine_labels"]
    assert checksums.of("train.bin") == sha256(tmp_path / "cifar/train.bin")


def test_another_version_of_cifar100_must_have_the_same_contents(tmp_path, supplied, checksums, small_cifar):
    for name, one in small_cifar.items():
        (supplied / name).write_bytes(pickle.dumps(one))
    originals.cifar100(tmp_path / "cifar", Origin(checksums, supplied))
    originals.cifar100(tmp_path / "again", Origin(checksums, supplied))
    small_cifar["test"]["fine_labels"][1] ^= 1
    (supplied / "test").write_bytes(pickle.dumps(small_cifar["test"]))
    with refusal("test.bin", checksums.of("test.bin")):
        originals.cifar100(tmp_path / "another", Origin(checksums, supplied))
    assert not list((tmp_path / "another").iterdir())


def test_arrays_that_python_2_pickled_are_read():
    found = layouts._ArraysOnly(io.BytesIO(BYTES_IN_PYTHON_2), encoding="bytes").load()
    assert found.values.tolist() == [[0, 1, 2], [3, 4, 5]]


class Executing:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_hostile_pickles_are_refused_and_execute_nothing(tmp_path, record_property):
    path, made = tmp_path / "train", tmp_path / "made"
    good = part(2)
    changes = [
        {"data": Executing(made)},
        {"data": None},
        {"data": np.zeros((2, 3072), object)},
        {"data": np.zeros((2, 3072), np.float32)},
        {"data": np.zeros((2, 3071), np.uint8)},
        {"data": np.asfortranarray(good["data"])},
        {"fine_labels": [1]},
        {"fine_labels": [1, 100]},
        {"fine_labels": [1, -1]},
        {"fine_labels": [1, 2.0]},
        {"coarse_labels": [0, 20]},
        {"coarse_labels": "ab"},
    ]
    for change in changes:
        path.write_bytes(pickle.dumps({**good, **change}))
        with refusal(path):
            layouts.read_pickle(path, 2)
    small = pickle.dumps({**good, "data": good["data"][:, :1]}, 2)
    cases = [
        *damaged(small, 300),
        b"",
        b"cos\nsystem\n(S'true'\ntR.",
        b"c" * 1000,
        b"c_codecs\nencode\n(Vx\nVrot13\ntR.",
        b"r\xff\xff\xff\x7f.",
        b"(" * 10**6,
    ]
    record_property("faults", fed(path, cases, lambda: layouts.read_pickle(path, 2)))
    assert not made.exists()


def test_too_large_pickle_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr(layouts, "PICKLE_BYTES", 3)
    (tmp_path / "train").write_bytes(b"1234")
    with refusal(tmp_path / "train", "4 bytes", 3):
        layouts.read_pickle(tmp_path / "train", 2)


def test_unreadable_pickle_is_not_called_damaged(tmp_path):
    with pytest.raises(IsADirectoryError):
        layouts.read_pickle(tmp_path, 2)


def mnist_contents() -> dict[str, bytes]:
    """Return the unpacked contents of the four files of a set with few different images."""
    rng, contents = np.random.default_rng(0), {}
    for name, count in zip(("train", "t10k"), originals.MNIST_IMAGES, strict=True):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0] = rng.integers(256, size=count)
        labels = rng.integers(10, size=count).astype(np.uint8)
        for kind, magic, array in (("images-idx3", 2051, images), ("labels-idx1", 2049, labels)):
            header = np.array([magic, *array.shape], ">i4").tobytes()
            contents[f"{name}-{kind}-ubyte.gz"] = header + array.tobytes()
    return contents


@pytest.fixture(scope="module")
def mnist():
    return mnist_contents()


@pytest.mark.parametrize("folder", layouts.MNIST_FOLDERS)
@pytest.mark.parametrize("packed", [False, True])
def test_folders_of_mnist(folder, packed, tmp_path, supplied, checksums, mnist):
    (supplied / folder).mkdir(parents=True, exist_ok=True)
    for name, content in mnist.items():
        file = supplied / folder / (name if packed else name.removesuffix(".gz"))
        file.write_bytes(gzip.compress(content, 1) if packed else content)
    originals.mnist(tmp_path / "mnist", Origin(checksums, supplied))
    found = {path.name: gzip.decompress(path.read_bytes()) for path in (tmp_path / "mnist").iterdir()}
    assert found == mnist


def test_unpacked_mnist_with_another_checksum_is_refused(tmp_path, supplied, mnist):
    for name, content in mnist.items():
        (supplied / name.removesuffix(".gz")).write_bytes(content)
    known = Checksums(tmp_path / "checksums.json")
    with refusal(FIXED_FILES["mnist"][0], known.of(FIXED_FILES["mnist"][0])):
        originals.mnist(tmp_path / "mnist", Origin(known, supplied))
    assert not list((tmp_path / "mnist").iterdir())


def parquet(path, columns: dict) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table(columns), path)


@pytest.mark.parametrize("folder", ["", "mnist"])
def test_parquet_files_of_mnist(folder, tmp_path, supplied, checksums, monkeypatch):
    monkeypatch.setattr(originals, "MNIST_IMAGES", (5, 2))
    monkeypatch.setattr(originals.load, "mnist", lambda folder: None)
    rng, arrays = np.random.default_rng(0), []
    for file, count in zip(layouts.PARQUET, (5, 2), strict=True):
        images = rng.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = rng.integers(10, size=count)
        parquet(supplied / folder / file, {"image": [png(image) for image in images], "label": labels.tolist()})
        arrays += [images, labels.astype(np.uint8)]
    originals.mnist(tmp_path / "mnist", Origin(checksums, supplied))
    for name, array in zip(FIXED_FILES["mnist"], arrays, strict=True):
        assert gzip.decompress((tmp_path / "mnist" / name).read_bytes()).endswith(array.tobytes())


def test_parquet_files_of_cifar100(tmp_path, supplied, checksums, small_cifar):
    for file, one in zip(layouts.PARQUET, small_cifar.values(), strict=True):
        images = one["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        columns = {"fine_label": one["fine_labels"], "coarse_label": one["coarse_labels"]}
        parquet(supplied / "cifar100" / file, {"img": [png(image) for image in images], **columns})
    originals.cifar100(tmp_path / "cifar", Origin(checksums, supplied))
    found = {path.name: path.read_bytes() for path in (tmp_path / "cifar").iterdir()}
    assert found == binary(tmp_path, small_cifar)


@pytest.mark.parametrize(
    ("columns", "facts"),
    [
        ({"label": [1, 2]}, ()),
        ({"image": [1, 2], "label": [1, 2]}, ()),
        ({"image": [{"bytes": b"x"}] * 2, "label": [1, 2]}, ("image 0",)),
        ({"image": [png(np.zeros((28, 27), np.uint8))] * 2, "label": [1, 2]}, ("image 0", "(27, 28)", "(28, 28)")),
        ({"image": [png(np.zeros((28, 28, 3), np.uint8))] * 2, "label": [1, 2]}, ("image 0", "RGB", "L")),
        ({"image": [png(np.zeros((28, 28), np.uint8))] * 3, "label": [1, 2, 3]}, ("3 images", 2)),
        ({"image": [png(np.zeros((28, 28), np.uint8))] * 2, "label": [1, 10]}, ("label", "0 to 9")),
        ({"image": [png(np.zeros((28, 28), np.uint8))] * 2, "label": [1, None]}, ("label", "0 to 9")),
    ],
)
def test_other_parquet_files_are_refused(columns, facts, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table(columns), path)
    with refusal(path, *facts):
        layouts.parquet_mnist([path], (2,))


def test_damaged_parquet_files_are_refused(tmp_path, record_property):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": [png(np.zeros((28, 28), np.uint8))] * 2, "label": [1, 2]}), path)
    cases = damaged(path.read_bytes(), 200)
    record_property("faults", fed(path, cases, lambda: layouts.parquet_mnist([path], (2,))))


def test_a_folder_without_any_version_lists_the_allowed_files(tmp_path, supplied, checksums):
    with refusal("data.folder", supplied, "train.bin", originals.CIFAR100_ARCHIVE, CIFAR100_PICKLES):
        originals.cifar100(tmp_path / "cifar", Origin(checksums, supplied))
    with refusal("data.folder", supplied, *FIXED_FILES["mnist"], layouts.PARQUET[0]):
        originals.mnist(tmp_path / "mnist", Origin(checksums, supplied))
