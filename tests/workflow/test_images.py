"""Runs that learn from images: they wait for them, and are stale when other images would be made, only then."""

import hashlib
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from project import Project

from lop.data.sets import Images
from lop.runs.metrics import read_about

pytestmark = pytest.mark.slow
FIGURE = "figures/ed3b_rate.pdf"
SETTINGS = ("rate change_after=2000", "rate change_after=4000", "std_net step_size=0.003")  # the last: tasks of 1,000
RUNS = {f"permuted_mnist/bp/{setting} seed {seed}" for setting in SETTINGS for seed in (0, 1)}
AFTER = {"collect ed3b_rate", "draw ed3b_rate"}
DATA = "data glyphs mnist"
IMAGES = str(Images().folder("mnist", Path("data")) / "train-images-idx3-ubyte.gz")


@pytest.fixture(scope="module")
def project(tmp_path_factory, python):
    project = Project(tmp_path_factory.mktemp("images") / "project", python=python)
    assert project.stale(FIGURE) == RUNS | AFTER | {DATA}
    project.log = project.build(FIGURE)
    return project


def target(project, seed=0):
    return project.paths("ed3b_rate")[f"permuted_mnist/bp/rate change_after=1000 seed {seed}"]


def metrics(project, seed=0):
    return project.folder / target(project, seed)


def test_images_are_made_and_learned_from(project):
    assert project.log.count(": done, 4,000 examples") == len(RUNS)
    about = read_about(metrics(project))
    assert about["origin"]["images"]["seed"] == 0
    assert len(about["images"]) == 64
    assert project.stale(FIGURE) == set()


def test_other_images_make_the_runs_stale(project):
    project.edit("config/config.yaml", "seed: 0", "seed: 1")
    assert project.stale(FIGURE) == RUNS | AFTER | {DATA}
    project.edit("config/config.yaml", "seed: 1", "seed: 0")
    project.edit("config/config.yaml", "source: glyphs", "source: original")
    assert project.stale(FIGURE) == RUNS | AFTER | {"data original mnist"}
    project.edit("config/config.yaml", "source: original", "source: glyphs")
    project.edit("lop/data/glyphs.py", "noise=(0, 90)", "noise=(0, 91)")
    assert project.stale(FIGURE) == RUNS | AFTER | {DATA}
    project.edit("lop/data/glyphs.py", "noise=(0, 91)", "noise=(0, 90)")
    assert project.stale(FIGURE) == set()


def test_results_and_images_may_lie_elsewhere(project, tmp_path):
    results, images = tmp_path / "results", tmp_path / "images"
    elsewhere = str(results / Path(target(project)).relative_to("results"))
    where = ("--config", "scale=smoke", f"results={results}", f"data={{sets: {images}}}")
    done = project.snakemake(elsewhere, "--cores", "2", *where)
    assert done.returncode == 0, done.stderr
    assert (images / Path(IMAGES).relative_to("data")).exists()
    assert pq.read_table(elsewhere).equals(pq.read_table(metrics(project)))
    assert project.stale(FIGURE) == set()  # of what lies where it was


def test_loss_of_the_files_costs_no_training(project):
    shutil.rmtree(project.folder / "data")
    assert project.stale(FIGURE) == set()
    project.edit("config/scales/smoke.yaml", "ed3b_rate:\n    seeds: 2", "ed3b_rate:\n    seeds: 3")
    log = project.build(FIGURE)
    assert log.count(": done, 4,000 examples") == 3  # the new seed's
    assert project.stale(FIGURE) == set()


def test_a_picture_of_the_images_needs_them_and_no_run(project):
    assert project.stale("figures/ed3a.pdf") == {"collect ed3a", "draw ed3a"}
    shutil.rmtree(project.folder / "data")
    assert project.stale("figures/ed3a.pdf") == {"collect ed3a", "draw ed3a", DATA}


def test_original_files_are_taken_from_a_folder_and_wrong_ones_are_refused(project, tmp_path):
    """The built-in files have MNIST's format, but not its checksums: no file is left that a run would trust."""
    project.build(IMAGES)
    arguments = [
        "--config",
        "scale=smoke",
        f"data={{source: original, folder: {(project.folder / IMAGES).parent}}}",
    ]
    done = project.snakemake(FIGURE, "--cores", "1", *arguments)
    assert done.returncode != 0
    assert "allowed: 440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609" in done.stderr + done.stdout
    assert not list((project.folder / "data" / "original").glob("mnist/*.gz"))


def test_original_files_need_nothing_but_the_configuration(project):
    """As above, where the checksums are those of these files."""
    project.build(IMAGES)
    folder = (project.folder / IMAGES).parent
    known = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.gz")}
    project.append("lop/data/checksums.py", f"\nKNOWN.update({known!r})\n")
    arguments = ["--config", "scale=smoke", f"data={{source: original, folder: {folder}}}"]
    done = project.snakemake(FIGURE, "--cores", "2", *arguments)
    assert done.returncode == 0, done.stderr
    sources = [
        read_about(path)["origin"]["images"]["source"] for path in project.folder.glob("results/*/*/*/*/*.parquet")
    ]
    assert sources.count("original") == len(project.paths("ed3b_rate"))
