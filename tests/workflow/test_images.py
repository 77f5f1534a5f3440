"""Runs that learn from images wait for them, and are stale only if the images would differ."""

import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import Project
from refusals import names

from lop.data.checksums import KNOWN, sha256
from lop.data.sets import ImageSource
from lop.runs.metrics import read_about

pytestmark = pytest.mark.slow
FIGURE = "figures/ed3b_rate.pdf"
SETTINGS = ("rate change_after=2000", "rate change_after=4000", "std_net step_size=0.003")  # the last: tasks of 1,000
JOBS = {f"permuted_mnist/bp/{setting} seed 0-1" for setting in SETTINGS}
AFTER = {"collect ed3b_rate", "draw ed3b_rate"}
DATA = "data glyphs mnist"
IMAGES = ImageSource().folder("mnist", Path("data")) / "train-images-idx3-ubyte.gz"
METRICS = "results/permuted_mnist/*/*/*/metrics-4000.parquet"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, python):
    """The folder of a project with the figure; tests copy it."""
    project = Project(tmp_path_factory.mktemp("images") / "project", python=python)
    assert project.stale(FIGURE) == JOBS | AFTER | {DATA}
    project.build(FIGURE)
    return project.folder


@pytest.fixture
def project(trained, tmp_path, python):
    return Project(tmp_path / "project", trained, python)


def original(project) -> tuple[str, str, str]:
    """Return options that pass off the built-in files, which have MNIST's format, as the published ones."""
    return "--config", "scale=smoke", f"data={{source: original, folder: {(project.folder / IMAGES).parent}}}"


def test_images_are_made_and_learned_from(project):
    abouts = [read_about(path) for path in project.folder.glob(METRICS)]
    assert len(abouts) == 2 * len(JOBS)
    assert all(about["origin"]["images"]["seed"] == 0 and len(about["images"]) == 64 for about in abouts)
    assert project.stale(FIGURE) == set()


@pytest.mark.parametrize(
    ("name", "old", "new", "data"),
    [
        ("config/config.yaml", "seed: 0", "seed: 1", DATA),
        ("config/config.yaml", "source: null", "source: original", "data original mnist"),
        ("lop/data/glyphs.py", "noise=(0, 90)", "noise=(0, 91)", DATA),
    ],
    ids=["seed", "source", "code"],
)
def test_other_images_make_the_runs_stale(project, name, old, new, data):
    project.edit(name, old, new)
    assert project.stale(FIGURE) == JOBS | AFTER | {data}
    project.edit(name, new, old)
    assert project.stale(FIGURE) == set()


def test_results_and_images_may_be_stored_elsewhere(project, tmp_path):
    results, images = tmp_path / "results", tmp_path / "images"
    metrics = next(project.folder.glob(METRICS))
    elsewhere = results / metrics.relative_to(project.folder / "results")
    project.python = sys.executable  # unlike the fixture's interpreter, with string hashes and imports of its own
    project.build(str(elsewhere), "--config", "scale=smoke", f"results={results}", f"data={{sets: {images}}}")
    assert (images / IMAGES.relative_to("data")).exists()
    assert pq.read_table(elsewhere).equals(pq.read_table(metrics))
    assert project.stale(FIGURE) == set()  # the files in the project are untouched


def test_deleted_images_make_no_run_stale(project):
    shutil.rmtree(project.folder / "data")
    before = {path: path.stat().st_mtime_ns for path in project.folder.glob("results/*/*/*/*/checkpoint.pt")}
    assert project.stale(FIGURE) == set()
    project.edit("config/scales/smoke.yaml", "ed3b_rate:\n    seeds: 2", "ed3b_rate:\n    seeds: 3")
    project.build(FIGURE)
    assert len(list(project.folder.glob(METRICS))) == 4 * len(JOBS)  # the jobs of seed 2 include seed 3
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert project.stale(FIGURE) == set()


def test_a_figure_of_the_images_needs_them_and_no_run(project):
    assert project.stale("figures/ed3a.pdf") == {"collect ed3a", "draw ed3a"}
    shutil.rmtree(project.folder / "data")
    assert project.stale("figures/ed3a.pdf") == {"collect ed3a", "draw ed3a", DATA}


def test_files_that_are_not_the_published_ones_are_refused(project):
    """No file is left that a run would trust."""
    published = KNOWN["train-images-idx3-ubyte.gz"]
    names(project.refusal(FIGURE, *original(project)), published)
    assert not list((project.folder / "data" / "original").glob("mnist/*.gz"))


def test_published_files_are_taken_from_a_folder(project):
    """The checksums of the published files are replaced by those of the built-in ones."""
    files = (project.folder / IMAGES).parent.glob("*.gz")
    known = {path.name: sha256(path) for path in files}
    project.append("lop/data/checksums.py", f"\nKNOWN.update({known!r})\n")
    project.build(FIGURE, *original(project))
    sources = [read_about(path)["origin"]["images"]["source"] for path in project.folder.glob(METRICS)]
    assert sorted(sources) == sorted(2 * len(JOBS) * ["glyphs"] + 2 * len(JOBS) * ["original"])
