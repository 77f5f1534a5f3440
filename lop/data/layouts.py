"""Copies of MNIST and CIFAR-100 as other libraries store them.

- the folders of torchvision: MNIST/raw with or without .gz, and cifar-100-python
- the Python version of CIFAR-100, whose two pickles are read without executing anything
- the Parquet files of Hugging Face's data sets `mnist` and `cifar100`, with images in PNG format
"""

import gzip
import io
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.data.formats import CIFAR_RECORD, refused

MNIST_FOLDERS = ("", "raw", "MNIST/raw")
PICKLES = ("train", "test")
PICKLE_FOLDERS = ("", "cifar-100-python")
PICKLE_BYTES = 200 * 2**20  # upper limit for each
PARQUET = ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet")
PARQUET_FOLDERS = {"mnist": ("", "data", "mnist"), "cifar-100": ("", "data", "cifar100")}
LABELS = {"coarse": 20, "fine": 100}  # numbers of classes of CIFAR-100


def compress(source: Path, target: Path) -> None:
    """Write the contents of a file as a gzip file without a name and timestamp."""
    with (
        open(source, "rb") as content,
        atomic_file(target) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
    ):
        shutil.copyfileobj(content, packed)


class _Array:
    """Array in a pickle; `values` is set when the pickle describes one of bytes."""

    values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, columns_first, data = state
        if kind.name not in ("u1", b"u1") or columns_first or not isinstance(data, bytes):
            raise pickle.UnpicklingError(f"found an array of {kind.name!r}, allowed: unsigned bytes in C order")
        self.values = np.frombuffer(data, np.uint8).reshape(shape)


class _Kind:
    """Type of an array's elements in a pickle."""

    def __init__(self, name: object, *_: object):
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


def _encoded(text: str, encoding: str) -> bytes:
    """Return bytes that Python 3 pickled for Python 2; other encodings than its one could import code."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"found encoding {encoding!r}, allowed: 'latin1'")
    return text.encode("latin1")


class _ArraysOnly(pickle.Unpickler):
    """Unpickler that creates arrays of bytes and plain values; it imports and calls nothing that a pickle names."""

    _stand_ins = {
        ("numpy", "_reconstruct"): lambda *_: _Array(),
        ("numpy", "ndarray"): _Array,
        ("numpy", "dtype"): _Kind,
        ("_codecs", "encode"): _encoded,
    }

    def find_class(self, module: str, name: str) -> Any:
        """Return what stands for a global name of the pickle."""
        found = self._stand_ins.get((module.partition(".")[0], name))
        if found is None:
            raise pickle.UnpicklingError(f"found {module}.{name}, allowed: NumPy arrays")
        return found


def read_pickle(path: Path, count: int) -> np.ndarray:
    """Read a file of the Python version of CIFAR-100: a pickled dictionary of images and labels.

    Args:
        path: file to read.
        count: required number of images.

    Returns:
        Records (count,) as from `lop.data.formats.read_cifar100`.

    Raises:
        InputError: the file is missing, damaged, contains anything but arrays and plain values, or has other contents.
    """
    if path.stat().st_size > PICKLE_BYTES:
        raise refused(path, f"{path.stat().st_size} bytes", f"{PICKLE_BYTES} at most")
    try:
        with open(path, "rb") as file:
            content = _ArraysOnly(file, encoding="bytes").load()
        values = {key.decode() if isinstance(key, bytes) else key: value for key, value in content.items()}
        images, labels = values["data"].values, {name: values[f"{name}_labels"] for name in LABELS}
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can make the unpickler raise anything
        raise InputError(f"{shown(path)}: no pickle of CIFAR-100: {error or type(error).__name__}") from None
    if not isinstance(images, np.ndarray) or images.shape != (count, 3 * 32 * 32):
        raise refused(path, f"`data` of shape {getattr(images, 'shape', None)}", f"{(count, 3 * 32 * 32)}")
    return _records(path, images.reshape(count, 3, 32, 32), labels)


def _records(path: Path, images: np.ndarray, labels: dict[str, Any]) -> np.ndarray:
    """Return images (n, 3, 32, 32) and labels as records."""
    records = np.empty(len(images), CIFAR_RECORD)
    records["image"] = images
    for name, classes in LABELS.items():
        numbers = labels[name]
        if len(numbers) != len(images):
            raise refused(path, f"{len(numbers)} {name} labels", f"{len(images)}")
        for number in numbers:
            if not (isinstance(number, int) and 0 <= number < classes):
                raise refused(path, f"{name} label {number!r}", f"0 to {classes - 1}")
        records[name] = numbers
    return records


def read_parquet(path: Path, count: int, shape: tuple[int, ...], columns: dict[str, str]) -> dict[str, Any]:
    """Read a Parquet file of a Hugging Face data set.

    Args:
        path: file to read.
        count: required number of images.
        shape: required shape of an image: (28, 28) for grey images, (3, 32, 32) for colours.
        columns: {name in the result: column}; that of the images is `image`.

    Returns:
        {"image": uint8 (count, *shape)} and, for the other columns, lists of values.

    Raises:
        InputError: the file is damaged, or lacks a column, an image or a label.
    """
    import pyarrow.parquet as pq  # takes a tenth of a second

    try:
        table = pq.read_table(path, columns=list(columns.values())).to_pydict()
        values = {name: table[column] for name, column in columns.items()}
        encoded = [cell["bytes"] for cell in values["image"]]
    except Exception as error:  # pyarrow raises many kinds of errors for damaged files
        raise InputError(f"{shown(path)}: no data set of Hugging Face: {error or type(error).__name__}") from None
    if len(encoded) != count:
        raise refused(path, f"{len(encoded)} images", count)
    images = np.empty((count, *shape), np.uint8)
    for row, image in enumerate(encoded):
        images[row] = _decoded(path, row, image, shape)
    return {**values, "image": images}


def _decoded(path: Path, row: int, image: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """Return the pixels of a PNG image."""
    mode, size = ("L" if len(shape) == 2 else "RGB"), (shape[-1], shape[-2])
    try:
        with Image.open(io.BytesIO(image), formats=["PNG"]) as picture:
            if (picture.mode, picture.size) != (mode, size):  # known before anything is decompressed
                raise ValueError(f"found {picture.mode} {picture.size}, allowed: {mode} {size}")
            pixels = np.asarray(picture)
    except Exception as error:  # Pillow raises many kinds of errors for damaged images
        raise InputError(f"{shown(path)}: image {row}: {' '.join(str(error).split())}") from None
    return pixels if mode == "L" else pixels.transpose(2, 0, 1)


def parquet_mnist(paths: list[Path], counts: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read the two Parquet files of MNIST as images (n, 28, 28) and labels (n,), both uint8.

    Raises:
        InputError: a file is damaged or has other contents.
    """
    found = []
    for path, count in zip(paths, counts, strict=True):
        part = read_parquet(path, count, (28, 28), {"image": "image", "label": "label"})
        if not all(isinstance(label, int) and 0 <= label < 10 for label in part["label"]):
            raise refused(path, "a label out of range", "0 to 9")
        found.append((part["image"], np.array(part["label"], np.uint8)))
    return found


def parquet_cifar100(path: Path, count: int) -> np.ndarray:
    """Read a Parquet file of CIFAR-100 as records (count,).

    Raises:
        InputError: the file is damaged or has other contents.
    """
    columns = {"image": "img", "fine": "fine_label", "coarse": "coarse_label"}
    part = read_parquet(path, count, (3, 32, 32), columns)
    return _records(path, part["image"], part)
