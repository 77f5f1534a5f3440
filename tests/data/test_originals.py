"""Original data sets, downloaded or supplied by the user, and errors of `python -m lop.data`."""

import gzip
import hashlib
import io
import os
import zipfile
from functools import partial

import numpy as np
import pytest
from refusals import error_line, names, refusal
from server import serving  # noqa: F401
from test_unpack import tar_gz, zipped

import lop.data.prepare
from lop.data import formats, imagenet32, layouts, originals
from lop.data.__main__ import main
from lop.data.checksums import Checksums, sha256
from lop.data.download import Patience
from lop.data.formats import CIFAR_RECORD, CLASS_SHAPE
from lop.data.imagenet32 import build_classes
from lop.data.originals import Origin, unpack_classes
from lop.data.prepare import prepare
from lop.data.sets import FIXED_FILES, ImageSource

QUICK = Patience(attempts=2, backoff=0.001, timeout=5)


@pytest.fixture
def small_cifar(monkeypatch):
    """Reduce CIFAR-100 to five training and two test images, and return its files."""
    monkeypatch.setattr(originals, "CIFAR100_RECORDS", {"train.bin": 5, "test.bin": 2})
    return {"train.bin": np.zeros(5, CIFAR_RECORD).tobytes(), "test.bin": np.ones(2, CIFAR_RECORD).tobytes()}


def mnist_files():
    files = {}
    for name, count in (("train", 60_000), ("t10k", 10_000)):
        for kind, magic, shape in (("images-idx3", 2051, (count, 28, 28)), ("labels-idx1", 2049, (count,))):
            content = np.array([magic, *shape], ">i4").tobytes() + bytes(int(np.prod(shape)))
            files[f"{name}-{kind}-ubyte.gz"] = gzip.compress(content, 1)
    return files


def test_mnist_files_are_downloaded_by_name(tmp_path, server, checksums):
    server.files = mnist_files()
    checksums.known = {}
    originals.mnist(tmp_path / "mnist", Origin(checksums, mirrors=(server.url,), patience=QUICK))
    assert sorted(path.name for path in (tmp_path / "mnist").iterdir()) == sorted(server.files)


def test_mnist_with_a_wrong_checksum_is_rejected(tmp_path, server, checksums):
    server.files = mnist_files()
    name = FIXED_FILES["mnist"][0]
    with refusal(name, hashlib.sha256(gzip.decompress(server.files[name])).hexdigest(), checksums.of(name)):
        originals.mnist(tmp_path / "mnist", Origin(checksums, mirrors=(server.url,), patience=QUICK))
    assert not list((tmp_path / "mnist").iterdir())


def test_mnist_is_known_by_its_content_however_it_is_compressed(tmp_path, server, checksums, supplied):
    contents = {name: gzip.decompress(packed) for name, packed in mnist_files().items()}
    checksums.known = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    server.files = {name: gzip.compress(content, 1, mtime=7) for name, content in contents.items()}
    originals.mnist(tmp_path / "mnist", Origin(checksums, mirrors=(server.url,), patience=QUICK))
    for name, content in server.files.items():
        (supplied / name).write_bytes(content)
    originals.mnist(tmp_path / "linked", Origin(checksums, supplied))
    (supplied / name).write_bytes(server.files[name][:-9])
    with refusal(supplied / name):
        originals.mnist(tmp_path / "again", Origin(checksums, supplied))


def test_supplied_mnist_is_linked_and_not_modified(tmp_path, supplied, checksums):
    for name, content in mnist_files().items():
        (supplied / name).write_bytes(content)
    checksums.known = {}
    originals.mnist(tmp_path / "mnist", Origin(checksums, supplied))
    link = tmp_path / "mnist/train-images-idx3-ubyte.gz"
    assert link.is_symlink()
    assert link.resolve() == supplied / link.name
    assert sorted(path.name for path in supplied.iterdir()) == sorted(mnist_files())


def test_one_folder_can_contain_a_folder_per_set(tmp_path, supplied, monkeypatch):
    monkeypatch.setattr(lop.data.prepare, "Checksums", partial(Checksums, known={}))
    (supplied / "mnist").mkdir()
    for name, content in mnist_files().items():
        (supplied / "mnist" / name).write_bytes(content)
    bring = partial(prepare, images=ImageSource("original"), supplied=supplied, data=tmp_path / "data")
    assert [path.resolve() for path in bring("mnist")] == [supplied / "mnist" / name for name in FIXED_FILES["mnist"]]
    (supplied / "cifar-100").mkdir()
    (supplied / originals.CIFAR100_ARCHIVE).write_bytes(b"in the folder itself")
    with refusal(supplied / originals.CIFAR100_ARCHIVE):
        bring("cifar-100")
    (supplied / originals.CIFAR100_ARCHIVE).unlink()
    for name in layouts.PARQUET:
        (supplied / "mnist" / name).write_bytes(b"of MNIST")
    with refusal("data.folder", supplied, "train.bin"):
        bring("cifar-100")
    (tmp_path / "data/original/t10k-labels-idx1-ubyte").write_bytes(b"beside the folders of the sets")
    with refusal("data.folder", tmp_path / "data/original", FIXED_FILES["mnist"][0]):
        bring("mnist", supplied=tmp_path / "data/original")


def test_the_only_zip_in_a_folder_is_that_of_imagenet(tmp_path, supplied, checksums, monkeypatch):
    monkeypatch.setattr(originals, "unpack_classes", lambda archive, folder: used.append(archive))
    used = []
    for name in ("one.zip", "two.zip", "imagenet/classes.zip"):
        (supplied / name).parent.mkdir(exist_ok=True)
        zipped(supplied / name, ("a", b"b"))
    originals.imagenet(tmp_path / "imagenet", Origin(checksums, supplied, subfolder="imagenet"), 0)
    assert used == [supplied / "imagenet/classes.zip"]


def test_incomplete_or_damaged_supplied_mnist_is_rejected(tmp_path, supplied, checksums):
    with refusal("data.folder", supplied, *FIXED_FILES["mnist"]):
        originals.mnist(tmp_path / "mnist", Origin(checksums, supplied))
    with refusal("data.folder", supplied / "nowhere"):
        originals.mnist(tmp_path / "mnist", Origin(checksums, supplied / "nowhere"))
    for name, content in mnist_files().items():
        (supplied / name).write_bytes(content[:-100])
    with refusal(supplied / FIXED_FILES["mnist"][0]):
        originals.mnist(tmp_path / "mnist", Origin(checksums, supplied))
    assert not list((tmp_path / "mnist").iterdir())


def test_cifar100_is_downloaded_unpacked_and_pinned(tmp_path, server, checksums, small_cifar):
    members = [(f"cifar-100-binary/{name}", content) for name, content in small_cifar.items()]
    archive = tar_gz(tmp_path / "packed", *members, ("cifar-100-binary/fine_label_names.txt", b"apple"))
    server.files = {originals.CIFAR100_ARCHIVE: archive.read_bytes()}
    originals.cifar100(tmp_path / "cifar", Origin(checksums, mirrors=(server.url,), patience=QUICK))
    found = {path.name: path.read_bytes() for path in (tmp_path / "cifar").iterdir()}
    assert found == small_cifar
    assert checksums.of(originals.CIFAR100_ARCHIVE) == sha256(archive)


def test_cifar100_archive_with_wrong_content_is_rejected(tmp_path, supplied, checksums, small_cifar):
    archive = supplied / originals.CIFAR100_ARCHIVE
    tar_gz(archive, ("train.bin", small_cifar["train.bin"]))
    with refusal(archive, "test.bin"):
        originals.cifar100(tmp_path / "one", Origin(checksums, supplied))
    assert checksums.of(originals.CIFAR100_ARCHIVE) is None
    tar_gz(archive, ("train.bin", small_cifar["train.bin"][:-1]))
    with refusal(archive, "train.bin", 15369, 5):
        originals.cifar100(tmp_path / "two", Origin(checksums, supplied))
    assert not list((tmp_path / "two").iterdir())


@pytest.fixture
def small_classes(monkeypatch):
    """Reduce classes to four images."""
    for module in (formats, imagenet32):
        monkeypatch.setattr(module, "CLASS_SHAPE", (4, *CLASS_SHAPE[1:]))


def test_supplied_files_are_pinned_and_changed_content_is_rejected(
    tmp_path, supplied, checksums, small_cifar, small_classes, monkeypatch
):
    """Original data sets are identified only by name, so their content must not change within a project."""
    monkeypatch.setattr(originals, "IMAGENET_CLASSES", 3)
    monkeypatch.setattr(originals.load, "cifar100", lambda folder: None)
    (supplied / "classes").mkdir()
    for name, content in small_cifar.items():
        (supplied / name).write_bytes(content)
    for number in range(3):
        formats.write_class(supplied / f"classes/{number}.npy", np.zeros((4, 3, 32, 32)))
    origin = Origin(checksums, supplied)
    makers = (
        lambda: originals.cifar100(tmp_path / "cifar", origin),
        lambda: originals.imagenet(tmp_path / "i", origin, 0),
    )
    for make in (*makers, *makers):
        make()
    for make, name in zip(makers, ("train.bin", "classes/1.npy"), strict=True):
        content = (supplied / name).read_bytes()
        (supplied / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with refusal(supplied / name, sha256(supplied / name), checksums.of(name), "checksums.json"):
            make()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_zip_archive_of_the_paper_is_unpacked(tmp_path, small_classes):
    classes = [np.full((4, 3, 32, 32), n / 10) for n in range(3)]
    archive = zipped(tmp_path / "zip", *((f"classes/{n}.npy", npy(x)) for n, x in enumerate(classes)))
    unpack_classes(archive, tmp_path / "imagenet", classes=3)
    for number, images in enumerate(classes):
        assert np.array_equal(formats.read_class(tmp_path / f"imagenet/classes/{number}.npy"), images)
    with refusal(archive, "3.npy"):
        unpack_classes(archive, tmp_path / "imagenet", classes=4)


def test_error_names_the_imagenet_files_to_download_by_hand(tmp_path, checksums, supplied):
    with refusal("imagenet", originals.OFFICIAL, "data.folder", "--folder"):
        originals.imagenet_by_hand(tmp_path / "imagenet")
    with refusal("data.folder", supplied, "classes/0.npy", "999.npy", originals.OFFICIAL):
        originals.imagenet(tmp_path / "imagenet", Origin(checksums, supplied), seed=0)


def official(path, batches):
    with zipfile.ZipFile(path, "w") as archive:
        for number, arrays in enumerate(batches, start=1):
            with archive.open(f"Imagenet32_train_npz/train_data_batch_{number}.npz", "w") as file:
                np.savez(file, **arrays)
    return path


@pytest.fixture
def batches():
    """Return 11 batches of 3 images, 11 per class; the first two bytes identify an image."""
    data = np.random.default_rng(0).integers(256, size=(33, 3072), dtype=np.uint8)
    data[:, 0], data[:, 1] = np.arange(33), 0
    labels = np.arange(33) % 3 + 1
    return [{"data": data[i : i + 3], "labels": labels[i : i + 3]} for i in range(0, 33, 3)]


def test_classes_are_built_from_the_official_archive(tmp_path, small_classes, batches):
    archive = official(tmp_path / "zip", batches)
    build_classes(archive, tmp_path / "a", seed=0, classes=3)
    found = np.stack([np.load(tmp_path / f"a/classes/{number}.npy") for number in range(3)])
    assert found.dtype == np.float32
    assert found.shape == (3, 4, 3, 32, 32)
    assert np.abs(found.mean((0, 1, 3, 4))).max() < 1e-6

    data = np.concatenate([batch["data"] for batch in batches])
    which = np.round((found[:, :, 0, 0, 0] - found[:, :, 0, 0, 1]) * 255).astype(int)
    assert ((which % 3).T == [0, 1, 2]).all()
    assert len(np.unique(which)) == 12
    assert (np.diff(which) > 0).all()
    means = data[which].reshape(12, 3, 1024).mean((0, 2)) / 255
    expected = data[which].reshape(3, 4, 3, 32, 32) / 255 - means[:, None, None]
    assert np.allclose(found, expected, atol=1e-6)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["classes"]


def test_seed_determines_the_chosen_images(tmp_path, small_classes, batches):
    archive = official(tmp_path / "zip", batches)
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        build_classes(archive, tmp_path / folder, seed=seed, classes=3)
    a, b, c = ((tmp_path / folder / "classes/0.npy").read_bytes() for folder in "abc")
    assert a == b != c


@pytest.mark.parametrize(
    ("change", "classes", "facts"),
    [
        (lambda x: None, 2, (3, 2)),  # label 3
        (lambda x: x.__delitem__(slice(3, None)), 3, (3, 4)),  # too few images of a class
        (lambda x: x[2].pop("labels"), 3, ("labels", "npz")),
        (lambda x: x[2].update(data=x[2]["data"][:, 1:]), 3, ("data", "uint8", (3, 3071), (3, 3072))),
        (lambda x: x[2].update(data=x[2]["data"][1:]), 3, (2, 3)),  # different numbers of images and labels
        (lambda x: x[2].update(labels=np.int64(1)), 3, ("labels", "int64", ())),
        (lambda x: x.clear(), 3, ("npz",)),
    ],
)
def test_official_archive_with_wrong_content_is_rejected(change, classes, facts, tmp_path, small_classes, batches):
    change(batches)
    archive = official(tmp_path / "zip", batches)
    with refusal(archive, *facts):
        build_classes(archive, tmp_path / "out", 0, classes)
    assert not list((tmp_path / "out").iterdir())


def test_official_archive_with_a_too_large_member_is_rejected(tmp_path, batches, monkeypatch):
    monkeypatch.setattr(imagenet32, "MOST_BYTES", 1000)
    archive = official(tmp_path / "zip", batches)
    size = zipfile.ZipFile(archive).infolist()[0].file_size
    with refusal(archive, "train_data_batch_1.npz", size, 1000):
        build_classes(archive, tmp_path / "out", 0, 3)
    assert not list((tmp_path / "out").iterdir())


def classes_in(folder):
    return [(folder / f"classes/{number}.npy").read_bytes() for number in range(3)]


def test_imagenet_is_created_from_the_official_archive(
    tmp_path, supplied, checksums, small_classes, batches, monkeypatch
):
    monkeypatch.setattr(originals, "build_classes", partial(build_classes, classes=3))
    archive = official(supplied / originals.OFFICIAL, batches)
    with refusal(archive, sha256(archive), checksums.of(originals.OFFICIAL)):
        originals.imagenet(tmp_path / "imagenet", Origin(checksums, supplied), seed=5)
    checksums.known = {}
    originals.imagenet(tmp_path / "imagenet", Origin(checksums, supplied), seed=5)
    build_classes(archive, tmp_path / "expected", seed=5, classes=3)
    assert classes_in(tmp_path / "imagenet") == classes_in(tmp_path / "expected")


def test_imagenet_is_created_from_the_zip_archive_of_the_paper_which_may_have_any_name(
    tmp_path, supplied, checksums, small_classes, monkeypatch
):
    monkeypatch.setattr(originals, "unpack_classes", partial(unpack_classes, classes=3))
    contents = [npy(np.full((4, 3, 32, 32), n / 10)) for n in range(3)]
    archive = zipped(supplied / "mine.zip", *((f"{n}.npy", content) for n, content in enumerate(contents)))
    originals.imagenet(tmp_path / "imagenet", Origin(checksums, supplied), seed=5)
    assert classes_in(tmp_path / "imagenet") == contents
    pinned = sha256(archive)
    zipped(archive, ("0.npy", contents[0]))
    with refusal(archive, sha256(archive), pinned):
        originals.imagenet(tmp_path / "imagenet", Origin(checksums, supplied), seed=5)


def test_official_archive_that_is_not_a_zip_is_rejected(tmp_path):
    (tmp_path / "zip").write_bytes(b"no zip")
    with refusal(tmp_path / "zip"):
        build_classes(tmp_path / "zip", tmp_path / "out", 0, 3)


def command(*arguments):
    """Run `python -m lop.data` in this process."""
    main(list(map(str, arguments)))


def test_command_prepares_the_given_classes(tmp_path, capsys):
    classes = ImageSource().folder("imagenet", tmp_path) / "classes"
    classes.mkdir(parents=True)
    for number in (3, 7):  # left by processes killed days ago
        (classes / f".{number}.npy.123.tmp").touch()
        os.utime(classes / f".{number}.npy.123.tmp", (0, 0))
    command("imagenet", "--classes", "3-4,6", "--data", tmp_path)
    names(capsys.readouterr().out, "imagenet", 3, classes)
    made = {f"{number}.npy" for number in (3, 4, 6)}
    assert {path.name for path in classes.iterdir()} == {".7.npy.123.tmp", *made, *(f".{name}.sha256" for name in made)}


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (("imagenet", "--classes", "7-3"), ("--classes", "'7-3'")),
        (("imagenet", "--classes", "5-"), ("--classes", "'5-'")),
        (("imagenet", "--classes", "1000"), ("imagenet", 1000, 999)),
        (("mnist", "--seed", "-1"), ("seed", -1)),
        (("mnist", "--folder", "."), ("data.folder", "data.source", "original")),
        (("imagenet", "--source", "original"), ("imagenet", originals.OFFICIAL, "--folder")),
    ],
)
def test_invalid_command_lines_are_rejected(arguments, facts, tmp_path, capsys):
    names(error_line(capsys, command, *arguments, "--data", tmp_path), *facts)


@pytest.mark.parametrize("where", ["", "itself", "linked"])
def test_own_folder_of_a_set_is_rejected_as_a_source_and_keeps_its_files(where, tmp_path, capsys):
    own = tmp_path / "original" / "cifar-100"
    own.mkdir(parents=True)
    (own / "train.bin").write_bytes(b"the user's")
    (tmp_path / "itself").symlink_to(own)
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked" / "train.bin").symlink_to(own / "train.bin")
    folder = tmp_path / where if where else own
    arguments = ("cifar-100", "--source", "original", "--folder", folder, "--data", tmp_path)
    names(error_line(capsys, command, *arguments), "data.folder", folder, own)
    assert (own / "train.bin").read_bytes() == b"the user's"


def test_file_is_not_replaced_by_a_link_to_itself(tmp_path):
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    originals.link(tmp_path / "b", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"content"


@pytest.mark.parametrize("data", ["file", "/proc/nothing"])
def test_unusable_data_folder_is_rejected(data, tmp_path, capsys):
    (tmp_path / "file").touch()
    names(error_line(capsys, command, "mnist", "--data", tmp_path / data), tmp_path / data)
