# Names that the rules share. The whole configuration is read and checked here, so that a mistake ends Snakemake with one
# line before anything starts. Runs, tables and images are addressed by what makes them: a file that exists is the right
# one, and a change leads to other paths.

import json
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lop._compat import lift_default_job_rate_limit
from lop.claims.basis import judged_from
from lop.claims.registry import claimed_figures
from lop.common import sources
from lop.common.errors import told_in_one_line
from lop.common.paths import ROOT
from lop.data import sets
from lop.figures.registry import figure_names, load_figure
from lop.figures.runs import by_path, shown_runs, table_path
from lop.plan.resources import resources
from lop.problems import PROBLEMS
from lop.runs.configured import check_config

with told_in_one_line():
    SETTINGS = check_config(config)
    SCALE, RESULTS, DATA = SETTINGS.scale, SETTINGS.results, SETTINGS.data.sets
    CONDITIONS = SETTINGS.conditions
    IMAGES = CONDITIONS.images
    FIGURES = {name: load_figure(name, SCALE) for name in figure_names()}
    SHOWN = {name: shown_runs(figure, CONDITIONS) for name, figure in FIGURES.items()}
    RUNS = {
        name: by_path(shown) for name, shown in SHOWN.items()
    }  # figure -> {path: run}
    TABLES = {
        name: str(table_path(FIGURES[name], shown)) for name, shown in SHOWN.items()
    }
    CLAIMED = claimed_figures()

# The run of one seed for each folder of seeds and length; all that a job needs to know follows from it and the seed.
# Runs that several figures want go by the name that the first of them gives.
WANTED = {}
for spec in (spec for runs in RUNS.values() for spec in runs.values()):
    WANTED.setdefault((str(spec.group), str(spec.horizon)), spec)
IN_STORAGE = bool(workflow.storage_settings.default_storage_provider)
# Which runs are meant, for the modules of lop that are called as commands.
SELECTION = [
    *("--scale", SCALE, "--results", RESULTS, "--device", SETTINGS.device),
    *("--data-source", IMAGES.source, "--data-seed", str(IMAGES.seed)),
]


wildcard_constraints:
    figure="|".join(FIGURES),
    group="[^/]+/[^/]+/[0-9a-f]{16}",
    seed=r"\d+(-[0-9a-f]{8})?",
    length=r"\d+",


def spec_of(wildcards):
    """Return the run that a metrics file is of, or one that differs from it in the seed alone."""
    key = (wildcards.group, wildcards.length)
    if key not in WANTED:
        raise WorkflowError(
            f"{RESULTS}/{wildcards.group}: no figure at {SCALE} scale wants these runs"
        )
    return WANTED[key]


def seeds_of(wildcards):
    """Return the seeds that a job runs, for the command line: one, or ten."""
    if wildcards.get("seed"):
        return wildcards.seed.partition("-")[0]
    return f"{wildcards.tens}0-{wildcards.tens}9"


@cache
def drawable_figures():
    """Return the figures that this machine can draw; name the others on standard error."""
    reasons = {name: figure.undrawable() for name, figure in FIGURES.items()}
    for name, reason in reasons.items():
        if reason:
            print(f"left out: {name}: {reason}", file=sys.stderr)
    return [name for name, reason in reasons.items() if not reason]


def image_files(name, classes):
    """Return the files of a set of images, if there is one; of ImageNet, those of some classes.

    Of files that the same job makes, the first stands for all: up to a thousand inputs a run are too many to read, or to
    be fast. The run itself checks that all exist. From a storage each has to be fetched.
    """
    if not name:
        return []
    if not IN_STORAGE:
        together = 10 if IMAGES.source == "glyphs" else sets.CLASSES
        classes = dict.fromkeys(number // together * together for number in classes)
    return list(map(str, IMAGES.files(name, classes, Path(DATA))))


def train_images(wildcards):
    """Return the images that a job's runs learn from."""
    spec = spec_of(wildcards)
    first, _, last = seeds_of(wildcards).partition("-")
    seeds = range(int(first), int(last or first) + 1)
    classes = {number for seed in seeds for number in spec.parameters.classes(seed)}
    return ancient(image_files(spec.problem.data, sorted(classes)))


def train_command(wildcards):
    """Return the command that trains the runs of a job, up to the files."""
    spec = spec_of(wildcards)
    command = [
        *(
            sys.executable,
            "-m",
            spec.problem.entry,
            "--config",
            str(spec.problem.cfg_path(spec.config)),
        ),
        *("--setting", spec.setting, "--seed", seeds_of(wildcards), *SELECTION),
        *(
            "--checkpoint-every",
            str(SETTINGS.checkpoint_every),
            "--progress-every",
            str(SETTINGS.progress_every),
        ),
    ]
    return shlex.join(command)


def asked_for(wildcards):
    """Return what a scheduler is asked for, for a job."""
    spec = spec_of(wildcards)
    return resources(spec, SETTINGS.device, 10 if spec.problem.tens else 1)


def data_command(name, classes="0-999"):
    """Return the command that makes a set of images, up to one of its files."""
    folder = SETTINGS.data.folder or "" if IMAGES.source == "original" else ""
    command = [
        *(
            sys.executable,
            "-m",
            "lop.data",
            name,
            "--source",
            IMAGES.source,
            "--seed",
            str(IMAGES.seed),
        ),
        *("--classes", classes, f"--folder={folder}"),
    ]
    return shlex.join(command)


def collected_runs(wildcards):
    """Return the metrics files of a table."""
    table = f"tables/{wildcards.figure}/{wildcards.key}.parquet"
    if table != TABLES[wildcards.figure]:
        raise WorkflowError(
            f"{table}: not the table of {wildcards.figure} at {SCALE} scale, {TABLES[wildcards.figure]}"
        )
    return [f"{RESULTS}/{path}" for path in RUNS[wildcards.figure]]


def picture_files(wildcards):
    """Return the images that a figure shows."""
    pictures = FIGURES[wildcards.figure].pictures
    return ancient(
        [
            file
            for picture in pictures
            for file in image_files(picture.data, picture.classes)
        ]
    )
