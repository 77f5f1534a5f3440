"""What files are made of is told by their time; what is not as it should be is told with the command that makes it."""

import os
import re
import shutil

import pytest

from lop.data import built_in, sets
from lop.data.prepare import prepare
from lop.data.sets import TIMES, Images, must_be_there
from lop.errors import InputError

OTHERS = "found images of another seed, drawn by other code, or copied without their time"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Files of a byte, and four classes."""
    monkeypatch.setattr(built_in, "write_cifar100", lambda folder, seed: put(folder / "train.bin", folder / "test.bin"))
    monkeypatch.setattr(
        built_in, "write_imagenet_class", lambda folder, number, seed: put(folder / f"classes/{number}.npy")
    )


def put(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?")


def refused(told, *arguments):
    with pytest.raises(InputError, match=re.escape(told)):
        must_be_there(*arguments)


def test_what_is_not_there_is_told_with_the_command_that_makes_it(tmp_path):
    data = tmp_path / "of all"
    prepare("cifar-100", "glyphs", 3, data=data)
    must_be_there("cifar-100", Images("glyphs", 3), [], data)
    (data / "glyphs/cifar-100/test.bin").unlink()
    told = f"test.bin: no such file; `python -m lop.data cifar-100 --seed 3 --data '{data}'` makes it"
    refused(told, "cifar-100", Images("glyphs", 3), [], data)


def test_the_command_names_the_classes_that_are_lacking(tmp_path):
    data = tmp_path / "data"
    prepare("imagenet", "glyphs", classes=[1], data=data)
    refused(" --classes 0,2-3,900` makes it", "imagenet", Images(), [0, 1, 2, 3, 900], data)
    refused(" --classes 0-998` makes it", "imagenet", Images(), range(0, 1000, 2), data)
    refused(f"`python -m lop.data imagenet --data {data}` makes it", "imagenet", Images(), range(1000), data)


def test_images_of_another_seed_are_refused(tmp_path):
    prepare("cifar-100", "glyphs", 7, data=tmp_path)
    told = f"train.bin: {OTHERS}; `python -m lop.data cifar-100 --data {tmp_path}` makes it"
    refused(told, "cifar-100", Images("glyphs", 0), [], tmp_path)
    prepare("imagenet", "glyphs", 0, [1], data=tmp_path)
    prepare("imagenet", "glyphs", 7, [2], data=tmp_path)
    refused(f"2.npy: {OTHERS}; `python -m lop.data imagenet", "imagenet", Images(), [1, 2], tmp_path)
    prepare("imagenet", "glyphs", 0, [2], data=tmp_path)
    must_be_there("imagenet", Images("glyphs", 0), [1, 2], tmp_path)


def test_images_drawn_by_other_code_are_refused(tmp_path, monkeypatch):
    prepare("cifar-100", "glyphs", data=tmp_path)
    monkeypatch.setattr(sets.sources, "digest", lambda entry: "another")
    refused(OTHERS, "cifar-100", Images(), [], tmp_path)


def test_images_of_which_nothing_is_known(tmp_path):
    """Of before their times said it, or copied without; what a storage brings is as the workflow made it."""
    for path in prepare("cifar-100", "glyphs", data=tmp_path):
        os.utime(path, (TIMES.stop, TIMES.stop))
    refused(OTHERS, "cifar-100", Images(), [], tmp_path)
    must_be_there("cifar-100", Images(times_kept=False), [], tmp_path)
    prepare("cifar-100", "glyphs", 7, data=tmp_path)
    refused(OTHERS, "cifar-100", Images(times_kept=False), [], tmp_path)


def test_what_files_are_made_of_goes_with_them(tmp_path):
    prepare("cifar-100", "glyphs", data=tmp_path / "a")
    shutil.copytree(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "linked" / "glyphs").mkdir(parents=True)
    (tmp_path / "linked" / "glyphs" / "cifar-100").symlink_to(tmp_path / "a" / "glyphs" / "cifar-100")
    for folder in ("copy", "linked"):
        must_be_there("cifar-100", Images(), [], tmp_path / folder)


def test_files_put_there_by_hand_are_taken_as_they_are(tmp_path):
    classes = [tmp_path / f"original/imagenet/classes/{number}.npy" for number in range(1000)]
    put(*classes)
    before = classes[0].stat()
    assert prepare("imagenet", "original", data=tmp_path) == classes
    assert classes[0].stat() == before
    must_be_there("imagenet", Images("original", 3), range(1000), tmp_path)


def test_the_users_own_files_keep_their_time(tmp_path, monkeypatch):
    mine = [tmp_path / "mine" / name for name in ("train.bin", "test.bin")]
    put(*mine)
    monkeypatch.setattr("lop.data.load.cifar100", lambda folder: None)
    before = [path.stat() for path in mine]
    made = prepare("cifar-100", "original", supplied=tmp_path / "mine", data=tmp_path / "data")
    assert [path.stat() for path in mine] == before
    assert {path.lstat().st_mtime for path in made} == {Images("original").time_of("cifar-100")}
    must_be_there("cifar-100", Images("original"), [], tmp_path / "data")


def test_the_seed_chooses_from_the_official_archive(tmp_path, monkeypatch):
    monkeypatch.setattr("lop.data.originals.imagenet", lambda folder, origin, seed: put(*wanted))
    wanted = sets.files("imagenet", "original", data=tmp_path)
    prepare("imagenet", "original", 1, supplied=tmp_path / "mine", data=tmp_path)
    must_be_there("imagenet", Images("original", 1), [0], tmp_path)
    refused("--source original", "imagenet", Images("original", 0), [0], tmp_path)


def test_times_are_old_and_differ():
    times = [Images("glyphs", seed).time_of("mnist") for seed in range(50)]
    assert len(set(times)) == 50
    assert all(time in TIMES for time in times)
