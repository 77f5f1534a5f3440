"""Folders of image sets follow from what makes them; a missing file is reported with the command that makes it."""

import re

import pytest

from lop.common.errors import InputError
from lop.data import built_in, sets
from lop.data.prepare import prepare
from lop.data.sets import Images


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Files that hold nothing but their seed."""
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


def refused(told, images, *arguments):
    with pytest.raises(InputError, match=re.escape(told)):
        images.must_exist(*arguments)


def test_what_is_missing_is_told_with_the_command_that_makes_it(tmp_path):
    data = tmp_path / "of all"
    made = prepare("cifar-100", Images(seed=3), data=data)
    Images(seed=3).must_exist("cifar-100", [], data)
    made[1].unlink()
    told = f"test.bin: no such file; `python -m lop.data cifar-100 --seed 3 --data '{data}'` makes it"
    refused(told, Images(seed=3), "cifar-100", [], data)


def test_the_command_names_the_classes_that_are_lacking(tmp_path):
    prepare("imagenet", Images(), [1], data=tmp_path)
    refused(" --classes 0,2-3,900` makes it", Images(), "imagenet", [0, 1, 2, 3, 900], tmp_path)
    refused(" --classes 0-998` makes it", Images(), "imagenet", range(0, 1000, 2), tmp_path)
    refused(f"`python -m lop.data imagenet --data {tmp_path}` makes it", Images(), "imagenet", range(1000), tmp_path)


@pytest.mark.parametrize(("name", "classes"), [("cifar-100", []), ("imagenet", [1, 2])])
def test_another_seed_or_other_drawing_code_leads_to_another_folder(name, classes, tmp_path, monkeypatch):
    """Images of all of them lie side by side, and none is taken for another."""
    made = {path: "0" for path in prepare(name, Images(), classes, data=tmp_path)}
    refused("no such file", Images(seed=7), name, classes, tmp_path)
    made |= {path: "7" for path in prepare(name, Images(seed=7), classes, data=tmp_path)}
    monkeypatch.setattr(sets, "_drawing_code", lambda: "another")
    refused("no such file", Images(), name, classes, tmp_path)
    made |= {path: "0" for path in prepare(name, Images(), classes, data=tmp_path)}
    assert len(made) == 6
    assert {path: path.read_text() for path in made} == made


def test_files_put_there_by_hand_are_taken_as_they_are(tmp_path):
    classes = [tmp_path / f"original/imagenet/classes/{number}.npy" for number in range(1000)]
    put(0, *classes)
    before = classes[0].stat()
    assert prepare("imagenet", Images("original"), data=tmp_path) == classes
    assert classes[0].stat() == before


def test_the_users_own_files_keep_their_time(tmp_path, monkeypatch):
    mine = [tmp_path / "mine" / name for name in ("train.bin", "test.bin")]
    put(0, *mine)
    monkeypatch.setattr("lop.data.load.cifar100", lambda folder: None)
    before = [path.stat() for path in mine]
    made = prepare("cifar-100", Images("original"), supplied=tmp_path / "mine", data=tmp_path / "data")
    assert [path.stat() for path in mine] == before
    assert [path.resolve() for path in made] == mine


def test_the_seed_chooses_from_the_official_archive(tmp_path, monkeypatch):
    """Images of another choice have a folder of their own."""
    monkeypatch.setattr(
        "lop.data.originals.imagenet", lambda folder, origin, seed: put(seed, folder / "classes" / "0.npy")
    )
    first, *_ = prepare("imagenet", Images("original", 1), supplied=tmp_path / "mine", data=tmp_path)
    assert first.read_text() == "1"
    Images("original", 1).must_exist("imagenet", [0], tmp_path)
    refused("no such file", Images("original"), "imagenet", [0], tmp_path)
