"""Images as the workflow makes them: only those that are needed, and again only if what makes them changed."""

import re
from pathlib import Path

import pytest
from test_workflow import Project

from lop.data.sets import Images

FOLDER = Images().folder("imagenet", Path("data"))


def file(number: int, folder: Path = FOLDER) -> str:
    """The file of a class."""
    return str(folder / f"classes/{number}.npy")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("data") / "project")
    project.log = project.build(file(7))
    return project


def test_only_the_ten_classes_around_the_one_that_is_needed(project):
    made = {path.name for path in (project.folder / FOLDER / "classes").glob("*.npy")}
    assert made == {f"{number}.npy" for number in range(10)}
    assert project.stale(file(3)) == set()
    assert project.stale(file(10)) == {"data glyphs imagenet 10-19"}
    assert project.stale(file(999)) == {"data glyphs imagenet 990-999"}


def test_addressed_by_the_seed_and_by_the_code_that_draws(project):
    def asked_for() -> str:
        """The folder of the images that a figure shows."""
        done = project.snakemake("-n", "figures/fig1a.pdf")
        assert done.returncode == 0, done.stderr
        return re.search(r"imagenet-([0-9a-f]{8})/classes", done.stdout + done.stderr)[1]

    now = FOLDER.name.partition("-")[2]
    assert asked_for() == now
    project.edit("config/config.yaml", "seed: 0", "seed: 1")
    assert asked_for() != now
    project.edit("config/config.yaml", "seed: 1", "seed: 0")
    project.append("lop/data/glyphs.py", "\nNOTHING = 0\n")
    assert asked_for() != now
    project.edit("lop/data/glyphs.py", "\nNOTHING = 0\n", "\n# nothing\n")
    project.append("lop/data/download.py", "\nNOTHING = 0\n")
    project.edit("config/config.yaml", "folder: null", "folder: elsewhere")
    assert asked_for() == now
    project.edit("config/config.yaml", "folder: elsewhere", "folder: null")


def test_each_set_can_be_asked_for_by_hand(project):
    original = ("--config", "scale=smoke", "data={source: original}")
    assert project.stale("data/original/mnist/t10k-labels-idx1-ubyte.gz", *original) == {"data original mnist"}
    assert project.stale(str(Images().folder("cifar-100", Path("data")) / "test.bin")) == {"data glyphs cifar-100"}


def test_what_cannot_be_downloaded_is_named_in_one_line(project):
    where = ("--cores", "1", "--config", "scale=smoke", "data={source: original}")
    done = project.snakemake(file(0, Path("data/original/imagenet")), *where)
    assert done.returncode != 0
    assert len({line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")}) == 1


def test_a_folder_that_is_the_sets_own_is_refused(project):
    labels = project.folder / "data/original/mnist/t10k-labels-idx1-ubyte.gz"
    labels.parent.mkdir(parents=True)
    labels.write_bytes(b"the user's")
    where = ("scale=smoke", f"data={{source: original, folder: {labels.parent}}}")
    other = str(labels.with_name("t10k-images-idx3-ubyte.gz").relative_to(project.folder))
    done = project.snakemake(other, "--cores", "1", "--config", *where)
    assert done.returncode != 0
    assert "data.folder" in done.stderr
    assert labels.read_bytes() == b"the user's"


def test_imagenet_put_in_by_hand_is_found_where_sets_lie(project, tmp_path):
    classes = tmp_path / "original/imagenet/classes"
    classes.mkdir(parents=True)
    for number in range(1000):
        (classes / f"{number}.npy").touch()
    where = ("scale=smoke", f"data={{source: original, sets: {tmp_path}}}")
    done = project.snakemake("-n", str(classes / "0.npy"), "--config", *where)
    assert done.returncode == 0, done.stderr


def test_a_wrong_source_is_refused(project):
    done = project.snakemake("-n", "--config", "scale=smoke", "data={source: fonts}")
    assert done.returncode != 0
    assert "`data.source`: found 'fonts'" in done.stderr + done.stdout
