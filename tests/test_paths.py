"""Folders derived from the paths of files."""

from pathlib import Path

import pytest
from refusals import refusal

from lop.common.paths import above
from lop.data.sets import ImageSource


def test_above_returns_the_folder_that_contains_a_relative_path():
    assert above(Path("/disk/data/glyphs/mnist"), Path("glyphs/mnist")) == Path("/disk/data")
    assert above(Path("a/b"), Path("a/b")) == Path()
    with refusal("/disk/mnist", "glyphs/mnist"):
        above(Path("/disk/mnist"), Path("glyphs/mnist"))


@pytest.mark.parametrize("name", ["mnist", "cifar-100", "imagenet"])
@pytest.mark.parametrize("data", [Path("/disk/glyphs/mnist"), Path("data"), Path(".storage/s3/bucket/data")])
def test_data_folder_follows_from_any_file_of_a_set(name, data):
    for path in ImageSource().files(name, range(12), data):
        assert ImageSource().data_above(path, name) == data
        for other in (ImageSource("original"), ImageSource(seed=1)):
            with refusal(path, other.folder(name, Path())):
                other.data_above(path, name)
