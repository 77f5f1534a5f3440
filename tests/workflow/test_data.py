"""Images as the workflow makes them: only those that are needed, and again only if what makes them changed."""

import pytest
from test_workflow import Project

CLASS = "data/glyphs/imagenet/classes/{}.npy"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("data") / "project")
    project.log = project.build(CLASS.format(7))
    return project


def test_only_the_ten_classes_around_the_one_that_is_needed(project):
    made = {path.name for path in project.folder.glob(CLASS.format("*"))}
    assert made == {f"{number}.npy" for number in range(10)}
    assert project.stale(CLASS.format(3)) == set()
    assert project.stale(CLASS.format(10)) == {"data glyphs imagenet 10-19"}
    assert project.stale(CLASS.format(999)) == {"data glyphs imagenet 990-999"}


def test_stale_by_the_seed_and_by_the_code_that_draws(project):
    project.edit("config/config.yaml", "seed: 0", "seed: 1")
    assert project.stale(CLASS.format(7)) == {"data glyphs imagenet 0-9"}
    project.edit("config/config.yaml", "seed: 1", "seed: 0")
    project.append("lop/data/glyphs.py", "\nNOTHING = 0\n")
    assert project.stale(CLASS.format(7)) == {"data glyphs imagenet 0-9"}
    project.edit("lop/data/glyphs.py", "\nNOTHING = 0\n", "\n# nothing\n")
    project.append("lop/data/download.py", "\nNOTHING = 0\n")
    project.edit("config/config.yaml", "folder: null", "folder: elsewhere")
    assert project.stale(CLASS.format(7)) == set()
    project.edit("config/config.yaml", "folder: elsewhere", "folder: null")


def test_each_set_and_source_can_be_asked_for_by_hand(project):
    assert project.stale("data/original/mnist/t10k-labels-idx1-ubyte.gz") == {"data original mnist"}
    assert project.stale("data/glyphs/cifar-100/test.bin") == {"data glyphs cifar-100"}


def test_what_cannot_be_downloaded_is_told_before_anything_runs(project):
    done = project.snakemake("-n", "data/original/imagenet/classes/0.npy")
    assert done.returncode == 2
    assert "imagenet cannot be downloaded by a program" in done.stderr.splitlines()[-1]


def test_a_folder_that_is_the_sets_own_is_refused_before_its_files_are_deleted(project):
    file = project.folder / "data/original/mnist/t10k-labels-idx1-ubyte.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"the user's")
    where = ("scale=smoke", f"data={{source: original, folder: {file.parent}}}")
    done = project.snakemake(str(file.relative_to(project.folder)), "--force", "--cores", "1", "--config", *where)
    assert done.returncode == 2
    assert "where the set itself is to lie" in done.stderr.splitlines()[-1]
    assert file.read_bytes() == b"the user's"


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
    assert "'fonts' is not one of ['glyphs', 'original']" in done.stderr + done.stdout
