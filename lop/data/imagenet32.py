"""Classes of Continual ImageNet from the official downsampled ImageNet (Chrabaszcz et al. 2017).

The paper selects 700 images of each class. Its selection and its numbering of the classes are not published; here, a
seed determines the selection.
"""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lop.common.errors import InputError
from lop.common.paths import shown
from lop.data.formats import CLASS_SHAPE, refused, write_class
from lop.data.unpack import PIECE, readable, scratch_folder

IMAGE_BYTES = 3 * 32 * 32
MOST_BYTES = 2**30  # limit for each npz file


def build_classes(archive: Path, folder: Path, seed: int, classes: int = 1000) -> None:
    """Write classes/<0..classes-1>.npy below `folder`, 700 images each, from the npz files in a zip archive.

    Images are divided by 255 and centred: the mean of each channel over all selected images is subtracted. The images
    with label n, from 1 to `classes`, become class n - 1. Needs 2 GB of temporary space in `folder`, and less than 1 GB
    of memory.

    Args:
        archive: official archive, Imagenet32_train_npz.zip.
        folder: folder of the set.
        seed: seed of the selection.
        classes: number of classes in the archive.

    Raises:
        InputError: the archive is damaged or does not contain the expected images.
    """
    with scratch_folder(folder) as scratch:
        batch = scratch / "batch.npz"
        labels = [_array(archive, batch, "labels") for _ in _batches(archive, batch)]
        places = _choose(archive, np.concatenate(labels), seed, classes)
        sums, start = np.zeros(3, np.int64), 0
        with open(scratch / "chosen", "w+b") as chosen:
            for _, expected in zip(_batches(archive, batch), labels, strict=True):
                sums += _copy_chosen(archive, batch, places[start : start + len(expected)], chosen)
                start += len(expected)
            chosen.seek(0)
            means = (sums / (classes * CLASS_SHAPE[0] * 1024 * 255)).astype(np.float32).reshape(3, 1, 1)
            for number in range(classes):
                images = np.fromfile(chosen, np.uint8, CLASS_SHAPE[0] * IMAGE_BYTES).reshape(CLASS_SHAPE)
                write_class(folder / "classes" / f"{number}.npy", images.astype(np.float32) / np.float32(255) - means)


def _batches(archive: Path, batch: Path) -> Iterator[None]:
    """Extract the npz files of the archive to `batch` one after the other, in the order of their numbers."""
    with readable(archive), zipfile.ZipFile(archive) as zipped:
        members = [info for info in zipped.infolist() if info.filename.endswith(".npz")]
        if not members:
            raise refused(archive, "no .npz file", "Imagenet32_train_npz.zip")
        for info in sorted(members, key=lambda info: (len(info.filename), info.filename)):
            if info.file_size > MOST_BYTES:
                raise refused(archive, f"{info.filename} of {info.file_size} bytes", f"{MOST_BYTES} at most")
            with zipped.open(info) as packed, open(batch, "wb") as file:
                shutil.copyfileobj(packed, file, PIECE)
            yield


def _array(archive: Path, batch: Path, key: str) -> np.ndarray:
    """Return an array of an npz file: `labels`, integers (n,), or `data`, uint8 (n, 3072)."""
    try:
        with np.load(batch, allow_pickle=False) as arrays:
            array = arrays[key]
    except Exception as error:  # damaged headers and members can make NumPy and zipfile raise anything
        raise InputError(f"{shown(archive)}: cannot read `{key}` of an .npz file: {error}") from None
    kind, shape = (np.uint8, (*array.shape[:1], IMAGE_BYTES)) if key == "data" else (np.integer, (array.size,))
    if not np.issubdtype(array.dtype, kind) or array.shape != shape:
        raise refused(archive, f"`{key}` of {array.dtype} {array.shape}", f"{kind.__name__} {shape}")
    return array


def _copy_chosen(archive: Path, batch: Path, places: np.ndarray, chosen: BinaryIO) -> np.ndarray:
    """Write the selected images of a batch to their places in a file; return the sums per channel, int64 (3,)."""
    data = _array(archive, batch, "data")
    if len(data) != len(places):
        raise refused(archive, f"{len(data)} images with {len(places)} labels", "equal numbers of both")
    rows = np.flatnonzero(places >= 0)
    for row in rows:
        chosen.seek(places[row] * IMAGE_BYTES)
        chosen.write(data[row].data)
    return np.array([data[rows, first : first + 1024].sum(dtype=np.int64) for first in range(0, IMAGE_BYTES, 1024)])


def _choose(archive: Path, labels: np.ndarray, seed: int, classes: int) -> np.ndarray:
    """Return each image's place among the selected ones, which are sorted by class, or -1."""
    if not labels.size or labels.min() < 1 or labels.max() > classes:
        found = f"labels {labels.min()} to {labels.max()}" if labels.size else "no labels"
        raise refused(archive, found, f"labels 1 to {classes}")
    rng = np.random.Generator(np.random.PCG64(seed))
    places = np.full(len(labels), -1)
    for number in range(classes):
        rows = np.flatnonzero(labels == number + 1)
        if len(rows) < CLASS_SHAPE[0]:
            raise refused(archive, f"{len(rows)} images with label {number + 1}", f"{CLASS_SHAPE[0]} or more")
        chosen = np.sort(rng.permutation(rows)[: CLASS_SHAPE[0]])
        places[chosen] = number * CLASS_SHAPE[0] + np.arange(CLASS_SHAPE[0])
    return places
