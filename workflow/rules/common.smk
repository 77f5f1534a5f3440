# Names shared by the rules. The whole configuration is validated here, so that Snakemake reports a mistake in one line
# before any job starts. The path of a run, a table or a set of images depends on everything that affects its contents.
# An existing file is therefore always up to date, and a change leads to a different path.

import json
import os
import shlex
import sys
from functools import cache, partial
from pathlib import Path

from snakemake.exceptions import WorkflowError

from lop.claims.basis import judged_from
from lop.claims.registry import claimed_figures
from lop.common import sources
from lop.common.core_hours import cost_text
from lop.common._compat import (
    keeps_files_in_storage,
    lift_default_job_rate_limit,
    quote_interpreter_of_scripts,
)
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import ROOT
from lop.common.ranges import ranges
from lop.data import sets
from lop.figures.registry import figure_names, load_figure
from lop.figures.results_file import checked_files
from lop.figures.runs import (
    all_have_paper_parameters,
    appearances,
    by_path,
    shown_runs,
    table_path,
)
from lop.figures.sweeps import PREFIX, comparison_of, load_sweep, sweep_names
from lop.plan.costs import model_seconds
from lop.plan.jobs import alone, blocks, seeds_per_job
from lop.plan.resources import read_resources, resources
from lop.problems import PROBLEMS
from lop.runs.configured import check_config
from lop.runs.published import PUBLISHED, stored, table_to_draw

quote_interpreter_of_scripts()
with told_in_one_line():
    if not os.access(".", os.W_OK):
        raise InputError(
            f"{Path.cwd()}: cannot write here, allowed: a folder in which Snakemake can keep its records; copy the project"
        )
    SETTINGS = check_config(config)
    SCALE, RESULTS, DATA = SETTINGS.scale, SETTINGS.results, SETTINGS.data.sets
    CONDITIONS = SETTINGS.conditions
    IMAGES = CONDITIONS.images
    FIGURES = {name: load_figure(name, SCALE) for name in figure_names()}
    SWEEPS = {name: load_sweep(name, SCALE) for name in sweep_names(SCALE)}
    COLLECTED = FIGURES | SWEEPS
    SHOWN = {name: shown_runs(figure, CONDITIONS) for name, figure in COLLECTED.items()}
    RUNS = {
        name: by_path(shown) for name, shown in SHOWN.items()
    }  # figure -> {path: run}
    TABLES = {
        name: str(table_path(COLLECTED[name], shown)) for name, shown in SHOWN.items()
    }
    CLAIMED = claimed_figures()
    SEEDS_PER_JOB = seeds_per_job(SCALE)
    read_resources()

# All runs, keyed by the parts of their paths. A run that several figures use has the name it has in the first of them.
WANTED = {}
for spec in (spec for runs in RUNS.values() for spec in runs.values()):
    WANTED.setdefault((str(spec.group), spec.folder.name, str(spec.horizon)), spec)
TO_TRAIN = {}  # {path: run}: missing runs of the tables and archives to create
IN_STORAGE = keeps_files_in_storage(workflow)
# Command-line options that select the runs, for modules of lop that rules execute as commands: those of training
# scripts, and those of all others.
OF_RUNS = [
    *("--results", RESULTS, "--data-seed", str(IMAGES.seed)),
    *(("--data-source", SETTINGS.data.source) if SETTINGS.data.source else ()),
]
SELECTION = [
    *("--scale", SCALE, "--device", SETTINGS.device),
    *("--gpu-problems", ",".join(SETTINGS.runs_per_gpu), *OF_RUNS),
]


wildcard_constraints:
    figure="|".join(FIGURES),
    group="[^/]+/[^/]+/[0-9a-f]{16}",
    length=r"\d+",


# The rules in train.smk pass `seeds`, which contains the folder of each of a job's seeds: `seed-{seed}`, or
# `seed-{tens}0`, `seed-{tens}1` and so on.


def seeds_of_job(wildcards, seeds):
    """Return the seeds of a job as numbers."""
    return [int(seed.format(**wildcards).split("-")[1]) for seed in seeds]


def spec_of(wildcards, seeds):
    """Return a run of a job that a figure uses; the other runs of the job differ only in the seed."""
    for seed in seeds:
        key = (wildcards.group, seed.format(**wildcards), wildcards.length)
        if key in WANTED:
            return WANTED[key]
    raise WorkflowError(
        f"{RESULTS}/{wildcards.group}: no figure at {SCALE} scale uses these runs"
    )


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
        drawn = IMAGES.source_of(name) == "glyphs"
        together = 10 if drawn else sets.IMAGENET_CLASSES
        classes = dict.fromkeys(number // together * together for number in classes)
    return list(map(str, IMAGES.files(name, classes, Path(DATA))))


def train_images(wildcards, seeds):
    """Return the image files on which the runs of a job are trained."""
    spec = spec_of(wildcards, seeds)
    classes = {
        number
        for seed in seeds_of_job(wildcards, seeds)
        for number in spec.parameters.classes(seed)
    }
    return ancient(image_files(spec.problem.data, sorted(classes)))


def train_command(wildcards, seeds):
    """Return the command that executes the runs of a job, without the options for files."""
    spec = spec_of(wildcards, seeds)
    numbers = ranges(seeds_of_job(wildcards, seeds))
    command = [
        *(
            sys.executable,
            "-m",
            spec.problem.entry,
            "--config",
            str(spec.problem.cfg_path(spec.config)),
        ),
        *("--setting", spec.setting, "--seed", numbers),
        *("--scale", spec.scale, *OF_RUNS, "--device", spec.conditions.device),
        *(
            "--checkpoint-every",
            str(SETTINGS.checkpoint_every),
            "--progress-every",
            str(SETTINGS.progress_every),
        ),
        *(("--track", SETTINGS.track) if SETTINGS.track else ()),
    ]
    return shlex.join(command)


def name_of(wildcards, seeds):
    """Return the name of a job: `rl/ant/std seed 0-2`."""
    numbers = ranges(seeds_of_job(wildcards, seeds))
    return f"{spec_of(wildcards, seeds).name_of_all_seeds} seed {numbers}"


def asked_for(wildcards, seeds):
    """Return the resources that a job requests from a scheduler."""
    return resources(spec_of(wildcards, seeds), SETTINGS.runs_per_gpu, len(seeds))


def data_command(name, classes="0-999"):
    """Return the command that creates a set of images, without the option for the output file."""
    source = IMAGES.source_of(name)
    folder = SETTINGS.data.folder or "" if source == "original" else ""
    command = [
        *(
            sys.executable,
            "-m",
            "lop.data",
            name,
            "--source",
            source,
            "--seed",
            str(IMAGES.seed),
        ),
        *("--classes", classes, f"--folder={folder}"),
    ]
    return shlex.join(command)


def collected_files(wildcards):
    """Return the metrics files and files of results from which a table is collected."""
    table = f"tables/{wildcards.figure}/{wildcards.key}.parquet"
    if table != TABLES[wildcards.figure]:
        raise WorkflowError(
            f"{table}: not the table of {wildcards.figure} at {SCALE} scale, {TABLES[wildcards.figure]}"
        )
    if not Path(RESULTS, table).is_file():
        TO_TRAIN.update(missing_runs(wildcards.figure))
    return source_files(wildcards.figure)


def crate_files(wildcards):
    """Return the metrics files and files of results that the archive of a figure contains."""
    TO_TRAIN.update(missing_runs(wildcards.figure))
    return source_files(wildcards.figure)


def source_files(figure):
    """Return the metrics files of a figure, from the results folder or published ones, and its files of results."""
    with told_in_one_line():
        own = checked_files(COLLECTED[figure])
    runs = [stored_locally(stored(path, Path(RESULTS))) for path in RUNS[figure]]
    return runs + [ancient(local(file)) for file in own]


def missing_runs(figure):
    """Return {path: run} of a figure's runs that are neither in the results folder nor published."""
    runs = RUNS[figure].items()
    return {
        path: spec for path, spec in runs if not stored(path, Path(RESULTS)).is_file()
    }


def core_hours(specs):
    """Return the estimated core-hours of runs; NaN if unknown."""
    return (
        sum(model_seconds(spec.problem.name, spec.parameters) for spec in specs) / 3600
    )


def announce_training():
    """Print the number and the cost of the runs that will be trained, unless results are kept in a storage."""
    if TO_TRAIN and not IN_STORAGE:
        cost = cost_text(core_hours(TO_TRAIN.values()))
        print(f"Runs to train: {len(TO_TRAIN):,}, {cost} in total", file=sys.stderr)


def table_of(figure):
    """Return the collected table from which a figure is drawn, from the results folder or a published one."""
    own = Path(RESULTS, TABLES[figure])
    with told_in_one_line():
        hours = core_hours(missing_runs(figure).values())
        table = table_to_draw(figure, SCALE, own, SETTINGS.published, hours)
    return stored_locally(table)


def table_of_current_runs(figure):
    """Return the collected table of a figure for uses that must not show earlier runs."""
    with told_in_one_line():
        if SETTINGS.published == "draw":
            raise InputError(
                "published: found draw, allowed with crates and claims: ask, train"
            )
    return table_of(figure)


def stored_locally(path):
    """Return a path, marked as local if it is published with the project, in case results are kept in a storage."""
    return local(str(path)) if path.is_relative_to(PUBLISHED) else str(path)


def label_of(figure):
    """Return what a figure says about its runs: their key, and whether they have the paper's parameters."""
    return [TABLES[figure], all_have_paper_parameters(FIGURES[figure], IMAGES)]


def looks_of(figure):
    """Return the appearance of all curves of a figure as plain values."""
    return {
        place: {curve: look.model_dump(mode="json") for curve, look in looks.items()}
        for place, looks in appearances(figure, CONDITIONS).items()
    }


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
