"""What files are made of is written down beside them; what is not as it should be is told with what makes it."""

import re
import shutil

import pytest

from lop.common.errors import InputError
from lop.data import built_in, sets
from lop.data.prepare import MADE, prepare
from lop.data.sets import Images, must_be_there

UNKNOWN = "found images of which it is not known what made them"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Files that begin with their seed, and hold nothing else."""
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
    told = "train.bin: found images of data.seed 7, allowed: 0; `python -m lop.data cifar-100 --data "
    refused(told, "cifar-100", Images("glyphs", 0), [], tmp_path)
    prepare("imagenet", "glyphs", 0, [1], data=tmp_path)
    prepare("imagenet", "glyphs", 7, [2], data=tmp_path)
    refused("2.npy: found images of data.seed 7, allowed: 0", "imagenet", Images(), [1, 2], tmp_path)
    prepare("imagenet", "glyphs", 0, [2], data=tmp_path)
    must_be_there("imagenet", Images("glyphs", 0), [1, 2], tmp_path)


def test_images_drawn_by_other_code_are_refused(tmp_path, monkeypatch):
    prepare("cifar-100", "glyphs", data=tmp_path)
    monkeypatch.setattr(sets, "_drawn_by", lambda: "another")
    refused("found images that other code has drawn", "cifar-100", Images(), [], tmp_path)


@pytest.mark.parametrize("change", ["record", "spoilt record", "file"])
def test_images_of_which_nothing_is_known(change, tmp_path):
    """Of before there were records, or put in the place of recorded ones; a storage's are as the workflow made them."""
    for path in prepare("cifar-100", "glyphs", data=tmp_path):
        beside = path.with_name(f".{path.name}.made_of.json")
        if change == "record":
            beside.unlink()
        elif change == "spoilt record":
            beside.write_text("{")
        else:
            path.write_bytes(b"another")
    refused(UNKNOWN, "cifar-100", Images(), [], tmp_path)
    must_be_there("cifar-100", Images(from_storage=True), [], tmp_path)


def test_a_record_of_another_seed_counts_in_a_storage_too(tmp_path):
    prepare("cifar-100", "glyphs", 7, data=tmp_path)
    refused("found images of data.seed 7", "cifar-100", Images(from_storage=True), [], tmp_path)


def test_records_go_with_files_and_do_not_depend_on_their_time(tmp_path):
    for path in prepare("cifar-100", "glyphs", data=tmp_path / "a"):
        path.touch()  # as Snakemake does
    shutil.copytree(tmp_path / "a", tmp_path / "copy", copy_function=shutil.copyfile)
    must_be_there("cifar-100", Images(), [], tmp_path / "copy")


def test_files_put_there_by_hand_are_taken_as_they_are(tmp_path):
    classes = [tmp_path / f"original/imagenet/classes/{number}.npy" for number in range(1000)]
    put(0, *classes)
    before = classes[0].stat()
    assert prepare("imagenet", "original", data=tmp_path) == classes
    assert classes[0].stat() == before
    must_be_there("imagenet", Images("original", 3), range(1000), tmp_path)


def test_the_users_own_files_keep_their_time(tmp_path, monkeypatch):
    mine = [tmp_path / "mine" / name for name in ("train.bin", "test.bin")]
    put(0, *mine)
    monkeypatch.setattr("lop.data.load.cifar100", lambda folder: None)
    before = [path.stat() for path in mine]
    made = prepare("cifar-100", "original", supplied=tmp_path / "mine", data=tmp_path / "data")
    assert [path.stat() for path in mine] == before
    assert {path.lstat().st_mtime for path in made} == {MADE}
    must_be_there("cifar-100", Images("original"), [], tmp_path / "data")


def test_the_seed_chooses_from_the_official_archive(tmp_path, monkeypatch):
    monkeypatch.setattr("lop.data.originals.imagenet", lambda folder, origin, seed: put(0, *wanted))
    wanted = sets.files("imagenet", "original", data=tmp_path)
    prepare("imagenet", "original", 1, supplied=tmp_path / "mine", data=tmp_path)
    must_be_there("imagenet", Images("original", 1), [0], tmp_path)
    refused("found images of data.seed 1, allowed: 0", "imagenet", Images("original", 0), [0], tmp_path)
