"""Image sets have a folder per source, seed and drawing code; errors name the command that creates missing files."""

import pytest
from refusals import refusal

from lop.data import built_in, load, sets
from lop.data.checksums import Checksums
from lop.data.prepare import prepare
from lop.data.sets import ImageSource


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Write only the seed to each file instead of drawing images."""
    monkeypatch.setattr(
        built_in, "write_cifar100", lambda folder, seed: put(seed, folder / "train.bin", folder / "test.bin")
    )
    monkeypatch.setattr(
        built_in, "write_imagenet_class", lambda folder, number, seed: put(seed, folder / f"classes/{number}.npy")
    )


def put(seed, *paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{seed}")


def version(path):
    """Return what changes when a file is replaced or written, but not when it is read."""
    stat = path.stat()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def refused(images, *arguments, facts=()):
    """Check that the error names the first missing file and the facts."""
    missing = next(path for path in images.files(*arguments) if not path.exists())
    with refusal(missing, *facts):
        images.must_exist(*arguments)


def test_error_names_the_missing_file_and_the_command_that_creates_it(tmp_path):
    data = tmp_path / "of all"
    made = prepare("cifar-100", ImageSource(seed=3), data=data)
    ImageSource(seed=3).must_exist("cifar-100", [], data)
    made[1].unlink()
    command = f"`python -m lop.data cifar-100 --seed 3 --data '{data}'`"
    refused(ImageSource(seed=3), "cifar-100", [], data, facts=[command])


def test_command_in_the_error_lists_the_missing_classes(tmp_path):
    prepare("imagenet", ImageSource(), [1], data=tmp_path)
    refused(ImageSource(), "imagenet", [0, 1, 2, 3, 900], tmp_path, facts=["--classes 0,2-3,900`"])
    refused(ImageSource(), "imagenet", range(0, 1000, 2), tmp_path, facts=["--classes 0-998`"])
    command = f"`python -m lop.data imagenet --data {tmp_path}`"
    refused(ImageSource(), "imagenet", range(1000), tmp_path, facts=[command])


@pytest.mark.parametrize(("name", "classes"), [("cifar-100", []), ("imagenet", [1, 2])])
def test_each_seed_and_drawing_code_has_its_own_folder(name, classes, tmp_path, monkeypatch):
    """All folders can exist side by side."""
    made = {path: "0" for path in prepare(name, ImageSource(), classes, data=tmp_path)}
    refused(ImageSource(seed=7), name, classes, tmp_path)
    made |= {path: "7" for path in prepare(name, ImageSource(seed=7), classes, data=tmp_path)}
    monkeypatch.setattr(sets, "_drawing_code", lambda: "another")
    refused(ImageSource(), name, classes, tmp_path)
    made |= {path: "0" for path in prepare(name, ImageSource(), classes, data=tmp_path)}
    assert len(made) == 6
    assert {path: path.read_text() for path in made} == made


def test_manually_copied_files_are_used_unchanged(tmp_path):
    classes = [tmp_path / f"original/imagenet/classes/{number}.npy" for number in range(1000)]
    put(0, *classes)
    before = version(classes[0])
    assert prepare("imagenet", ImageSource("original"), data=tmp_path) == classes
    assert version(classes[0]) == before


@pytest.mark.parametrize("name", ["mnist", "cifar-100"])
def test_supplied_files_are_not_modified(name, tmp_path, monkeypatch):
    mine = [tmp_path / "mine" / file for file in sets.FIXED_FILES[name]]
    put(0, *mine)
    monkeypatch.setattr(load, name.replace("-", ""), lambda folder: None)
    monkeypatch.setattr(Checksums, "check", lambda *which: None)
    before = [version(path) for path in mine]
    made = prepare(name, ImageSource("original"), supplied=tmp_path / "mine", data=tmp_path / "data")
    assert [version(path) for path in mine] == before
    assert [path.resolve() for path in made] == mine


def test_seed_determines_the_images_of_the_official_archive(tmp_path, monkeypatch):
    """Each seed has its own folder."""

    def build(folder, origin, seed):
        put(seed, *(folder / f"classes/{number}.npy" for number in range(1000)))

    monkeypatch.setattr("lop.data.originals.imagenet", build)
    first, *_ = prepare("imagenet", ImageSource("original", 1), supplied=tmp_path / "mine", data=tmp_path)
    assert first.read_text() == "1"
    ImageSource("original", 1).must_exist("imagenet", [0], tmp_path)
    refused(ImageSource("original"), "imagenet", [0], tmp_path)
