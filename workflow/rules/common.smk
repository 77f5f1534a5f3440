# Names shared by the rules. The whole configuration is validated here, so that Snakemake reports a mistake in one line
# before any job starts. The path of a run, a table or a set of images depends on everything that affects its contents.
# An existing file is therefore always up to date, and a change leads to a different path.

import json
import shlex
import sys
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lop.claims.basis import judged_from
from lop.claims.registry import claimed_figures
from lop.common import sources
from lop.common._compat import keeps_files_in_storage, lift_default_job_rate_limit
from lop.common.errors import told_in_one_line
from lop.common.paths import ROOT
from lop.data import sets
from lop.figures.registry import figure_names, load_figure
from lop.figures.runs import by_path, shown_runs, table_path
from lop.plan.resources import read_resources, resources
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
    TENS = {name for name, needs in read_resources().runs.items() if needs.tens}

# The run of each job, keyed by its wildcards. If a job executes ten seeds, it is one of them. A run that several figures
# use is named as in the first of them.
WANTED = {}
for spec in (spec for runs in RUNS.values() for spec in runs.values()):
    seed = None if spec.problem.name in TENS else spec.folder.name.removeprefix("seed-")
    WANTED.setdefault((str(spec.group), seed, str(spec.horizon)), spec)
IN_STORAGE = keeps_files_in_storage(workflow)
# Command-line options that select the runs, for modules of lop that rules execute as commands.
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
    """Return the run of a job, or one of its ten runs, which differ only in the seed."""
    key = (wildcards.group, wildcards.get("seed"), wildcards.length)
    if key not in WANTED:
        raise WorkflowError(
            f"{RESULTS}/{wildcards.group}: no figure at {SCALE} scale uses these runs"
        )
    return WANTED[key]


def seeds_of(wildcards):
    """Return the seeds of a job, one or ten, as a command-line argument."""
    if wildcards.get("seed"):
        return wildcards.seed.partition("-")[0]
    return f"{wildcards.tens}0-{wildcards.tens}9"


@cache
def drawable_figures():
    """Return the figures that this machine can draw; list the others on standard error."""
    reasons = {name: figure.undrawable() for name, figure in FIGURES.items()}
    for name, reason in reasons.items():
        if reason:
            print(f"left out: {name}: {reason}", file=sys.stderr)
    return [name for name, reason in reasons.items() if not reason]


def image_files(name, classes):
    """Return the files of a set of images, for ImageNet only those of `classes`; an empty list without a name.

    The first file that a job creates represents all of its files, because up to a thousand inputs per run would be slow
    and hard to read. The run itself checks that all files exist. With a storage provider all files are returned, since
    each of them must be fetched.
    """
    if not name:
        return []
    if not IN_STORAGE:
        together = 10 if IMAGES.source == "glyphs" else sets.IMAGENET_CLASSES
        classes = dict.fromkeys(number // together * together for number in classes)
    return list(map(str, IMAGES.files(name, classes, Path(DATA))))


def train_images(wildcards):
    """Return the image files on which the runs of a job are trained."""
    spec = spec_of(wildcards)
    first, _, last = seeds_of(wildcards).partition("-")
    seeds = range(int(first), int(last or first) + 1)
    classes = {number for seed in seeds for number in spec.parameters.classes(seed)}
    return ancient(image_files(spec.problem.data, sorted(classes)))


def train_command(wildcards):
    """Return the command that executes the runs of a job, without the options for files."""
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
    """Return the resources that a job requests from a scheduler."""
    spec = spec_of(wildcards)
    return resources(spec, SETTINGS.device)


def data_command(name, classes="0-999"):
    """Return the command that creates a set of images, without the option for the output file."""
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
    """Return the metrics files from which a table is collected."""
    table = f"tables/{wildcards.figure}/{wildcards.key}.parquet"
    if table != TABLES[wildcards.figure]:
        raise WorkflowError(
            f"{table}: not the table of {wildcards.figure} at {SCALE} scale, {TABLES[wildcards.figure]}"
        )
    return [f"{RESULTS}/{path}" for path in RUNS[wildcards.figure]]


def picture_files(wildcards):
    """Return the image files that a figure shows."""
    pictures = FIGURES[wildcards.figure].pictures
    return ancient(
        [
            file
            for picture in pictures
            for file in image_files(picture.data, picture.classes)
        ]
    )
