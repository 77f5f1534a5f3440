"""Images: the workflow makes only those needed, and new ones only if their seed or drawing code changes."""

import re
from pathlib import Path

import pytest
from refusals import names

from lop.data.sets import ImageSource
from lop.imagenet.problem import classes_until

FOLDER = ImageSource().folder("imagenet", Path("data"))
FIGURE = "figures/fig1b_first.pdf"


def file(number: int, folder: Path = FOLDER) -> str:
    """Return the file of a class."""
    return str(folder / f"classes/{number}.npy")


def test_only_the_ten_classes_around_a_needed_one_are_made(project):
    made = {path.name for path in (project.folder / FOLDER / "classes").glob("*.npy")}
    assert made == {f"{number}.npy" for number in range(10)}
    jobs = {"data glyphs imagenet 10-19", "data glyphs imagenet 990-999"}
    assert project.stale(file(3), file(10), file(999), FIGURE) == jobs


def test_a_run_waits_for_all_its_classes(project):
    project.edit("config/scales/smoke.yaml", "    total_classes: 4\n    num_tasks: 4", "    num_tasks: 40")
    project.edit("config/scales/smoke.yaml", "fig1b_first: {seeds: 2, to: 4}", "fig1b_first: {seeds: 2, to: 40}")
    made = {job for job in project.stale(FIGURE) if job.startswith("data ")}
    tens = {number // 10 for seed in (0, 1) for number in classes_until(seed, 1000, 2 * 40)}
    assert made == {f"data glyphs imagenet {10 * ten}-{10 * ten + 9}" for ten in tens - {0}}  # classes 0-9 exist


@pytest.mark.parametrize(
    ("edit", "same"),
    [
        (lambda p: p.edit("config/config.yaml", "seed: 0", "seed: 1"), False),
        (lambda p: p.append("lop/data/glyphs.py", "\nNOTHING = 0\n"), False),
        (
            lambda p: (
                p.append("lop/data/glyphs.py", "\n# nothing\n"),
                p.append("lop/data/download.py", "\nNOTHING = 0\n"),
                p.edit("config/config.yaml", "folder: null", "folder: elsewhere"),
            ),
            True,
        ),
    ],
    ids=["seed", "code", "a comment, other code and a folder"],
)
def test_images_are_addressed_by_their_seed_and_drawing_code(fresh, edit, same):
    edit(fresh)
    done = fresh.snakemake("-n", "figures/fig1a.pdf")
    assert done.returncode == 0, done.stderr
    wanted = re.search(r"(imagenet-[0-9a-f]{8})/classes", done.stdout + done.stderr)[1]
    assert (wanted == FOLDER.name) == same


def test_each_set_is_a_target(fresh):
    original = ("--config", "scale=smoke", "data={source: original}")
    assert fresh.stale("data/original/mnist/t10k-labels-idx1-ubyte.gz", *original) == {"data original mnist"}
    assert fresh.stale(str(ImageSource().folder("cifar-100", Path("data")) / "test.bin")) == {"data glyphs cifar-100"}


def test_a_failed_download_is_reported_in_one_line(fresh):
    original = ("--config", "scale=smoke", "data={source: original}")
    assert fresh.refusal(file(0, Path("data/original/imagenet")), *original)


def test_the_folder_of_a_set_is_refused_as_its_source(fresh):
    labels = fresh.folder / "data/original/mnist/t10k-labels-idx1-ubyte.gz"
    labels.parent.mkdir(parents=True)
    labels.write_bytes(b"the user's")
    where = ("--config", "scale=smoke", f"data={{source: original, folder: {labels.parent}}}")
    other = str(labels.with_name("t10k-images-idx3-ubyte.gz").relative_to(fresh.folder))
    names(fresh.refusal(other, *where), "data.folder")
    assert labels.read_bytes() == b"the user's"


def test_imagenet_supplied_by_hand_is_found_in_the_folder_of_sets(fresh, tmp_path):
    classes = tmp_path / "original/imagenet/classes"
    classes.mkdir(parents=True)
    for number in range(1000):
        (classes / f"{number}.npy").touch()
    where = ("--config", "scale=smoke", f"data={{source: original, sets: {tmp_path}}}")
    assert fresh.stale(str(classes / "0.npy"), *where) == set()
