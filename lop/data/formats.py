"""File formats of the original data sets: MNIST's idx, CIFAR-100's binary records, one .npy file per ImageNet class.

Contents are validated when they are read; an InputError names the file, the found and the allowed value.
"""

import gzip
import math
import os
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown

IDX_MAGIC = {1: 2049, 3: 2051}  # magic number of unsigned bytes, by number of axes
CIFAR_RECORD = np.dtype([("coarse", np.uint8), ("fine", np.uint8), ("image", np.uint8, (3, 32, 32))])
IMAGENET_CLASSES = 1000
CLASS_SHAPE = (700, 3, 32, 32)
CLASS_TRAIN = 600  # training images of a class; the others are test images


def refused(path: Path, found: object, allowed: object) -> InputError:
    """Return the error for a file with invalid contents."""
    return InputError(f"{shown(path)}: found {found}, allowed: {allowed}")


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write labels (n,) or images (n, rows, columns), uint8, as a gzipped idx file without a timestamp."""
    header = np.array([IDX_MAGIC[array.ndim], *array.shape], ">i4").tobytes()
    with (
        atomic_file(path) as temporary,
        open(temporary, "wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as packed,
    ):
        packed.write(header)
        packed.write(np.ascontiguousarray(array, np.uint8).data)


def read_idx(path: Path, shape: tuple[int, ...], labels: int | None = None) -> np.ndarray:
    """Read a gzipped idx file of unsigned bytes.

    Args:
        path: file to read.
        shape: required shape.
        labels: number of classes if the file contains labels, which must be smaller.

    Returns:
        Read-only array of the required shape, uint8.

    Raises:
        InputError: the file is missing, damaged, of another shape, or contains an invalid label.
    """
    header, size = 4 * (1 + len(shape)), math.prod(shape)
    content = _unpacked(path, header + size)
    if len(content) < header:
        raise refused(path, f"{len(content)} bytes", f"a header of {header} bytes")
    magic, *found = np.frombuffer(content, ">i4", 1 + len(shape)).tolist()
    if magic != IDX_MAGIC[len(shape)]:
        raise refused(path, f"magic number {magic}", f"{IDX_MAGIC[len(shape)]}")
    if tuple(found) != shape:
        raise refused(path, f"shape {tuple(found)}", f"{shape}")
    if len(content) != header + size:
        more = "more than " if len(content) > header + size else ""
        raise refused(path, f"{more}{min(len(content), header + size) - header} bytes of data", f"{size}")
    array = np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    _check_labels(path, array, labels)
    return array


def _unpacked(path: Path, most: int) -> bytes:
    """Return the contents of a gzip file, at most `most` + 1 bytes."""
    try:
        with gzip.open(path, "rb") as packed:
            return packed.read(most + 1)
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: no such file") from None
    except EOFError:
        raise InputError(f"{shown(path)}: the file is truncated") from None
    except (OSError, zlib.error) as error:
        raise InputError(f"{shown(path)}: damaged gzip file: {error}") from None


def _check_labels(path: Path, labels: np.ndarray, classes: int | None) -> None:
    if classes is not None and len(labels) and labels.max() >= classes:
        raise refused(path, f"label {labels.max()}", f"0 to {classes - 1}")


def write_records(path: Path, blocks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    """Write blocks of (coarse labels (n,), fine labels (n,), images (n, 3, 32, 32)), all uint8, as binary records."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        for coarse, fine, images in blocks:
            records = np.empty(len(fine), CIFAR_RECORD)
            records["coarse"], records["fine"], records["image"] = coarse, fine, images
            file.write(records.tobytes())


def read_cifar100(path: Path, count: int) -> np.ndarray:
    """Map a file of CIFAR-100 records into memory.

    Args:
        path: file to read.
        count: required number of records.

    Returns:
        Read-only records (count,) with the fields `coarse`, `fine` and `image` (3, 32, 32), uint8.

    Raises:
        InputError: the file is missing, has another size, or contains an invalid label.
    """
    size = _size(path)
    if size != count * CIFAR_RECORD.itemsize:
        raise refused(path, f"{size} bytes", f"{count} records of {CIFAR_RECORD.itemsize}")
    records = np.memmap(path, CIFAR_RECORD, "r")
    _check_labels(path, records["coarse"], 20)
    _check_labels(path, records["fine"], 100)
    return records


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError as error:
        raise InputError(f"{shown(path)}: {(error.strerror or 'cannot be read').lower()}") from None


def write_class(path: Path, images: np.ndarray) -> None:
    """Write the centred images of one class, float32 (700, 3, 32, 32), as a .npy file."""
    with atomic_file(path) as temporary, open(temporary, "wb") as file:
        np.save(file, np.ascontiguousarray(images, np.float32), allow_pickle=False)


def read_class(path: Path) -> np.ndarray:
    """Map the file of one ImageNet class into memory.

    Returns:
        Read-only centred images (700, 3, 32, 32) in [-1, 1], float32 or float64.

    Raises:
        InputError: the file is missing or damaged, or has another shape, type or range of values.
    """
    _size(path)
    try:
        images = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a damaged header can make NumPy, Python or zipfile raise anything
        raise InputError(f"{shown(path)}: damaged .npy file: {' '.join(str(error).split())}") from None
    if not isinstance(images, np.ndarray) or images.dtype not in (np.float32, np.float64):
        raise refused(path, getattr(images, "dtype", "an archive"), "float32 or float64")
    if images.shape != CLASS_SHAPE:
        raise refused(path, f"shape {images.shape}", f"{CLASS_SHAPE}")
    largest = float(np.abs(images).max())
    if not largest <= 1:
        raise refused(path, f"a value of size {largest:g}", "centred values from -1 to 1")
    return images
