from pathlib import Path

import pytest
from refusals import refusal

from lop.common.paths import above
from lop.data.sets import ImageSource


def test_the_folder_in_which_a_file_lies():
    assert above(Path("/disk/data/glyphs/mnist"), Path("glyphs/mnist")) == Path("/disk/data")
    assert above(Path("a/b"), Path("a/b")) == Path()
    with refusal("/disk/mnist", "glyphs/mnist"):
        above(Path("/disk/mnist"), Path("glyphs/mnist"))


@pytest.mark.parametrize("name", ["mnist", "cifar-100", "imagenet"])
@pytest.mark.parametrize("data", [Path("/disk/glyphs/mnist"), Path("data"), Path(".storage/s3/bucket/data")])
def test_the_folder_of_all_sets_from_any_file_of_one(name, data):
    for path in ImageSource().files(name, range(12), data):
        assert ImageSource().data_above(path, name) == data
        for other in (ImageSource("original"), ImageSource(seed=1)):
            with refusal(path, other.folder(name, Path())):
                other.data_above(path, name)
