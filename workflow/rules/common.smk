# What the rules share: names from the configuration, and the library's answers to what a file is made of.

import json
import logging
import os
import sys
from functools import cache, wraps
from itertools import chain
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from snakemake.io import IOFile

from lop.common import errors
from lop.data import originals, sets
from lop.figures.registry import figure_names, load_figure
from lop.common.paths import ROOT
from lop.plan.resources import resources
from lop.plan.state import DAMAGED, why_not, why_not_collected
from lop.problems import PROBLEMS, first_run


def told_in_one_line(function):
    """End Snakemake with one line where bad input is found; nothing runs yet when it asks what a file is made of."""

    @wraps(function)
    def told(*arguments):
        try:
            with errors.told_in_one_line():
                return function(*arguments)
        except SystemExit as ended:
            logging.shutdown()
            # Snakemake would wrap the exit, and tell its traceback.
            os._exit(ended.code)

    return told


@told_in_one_line
def check_config(schema):
    """Of all mistakes in the configuration, files and command line together, the plainest."""
    content = yaml.safe_load(schema.read_text())
    error = best_match(Draft202012Validator(content).iter_errors(config))
    if error:
        key = ".".join(map(str, error.absolute_path))
        where = f"key `{key}`: " if key else ""
        raise errors.InputError(f"configuration: {where}{error.message}")


check_config(ROOT / "workflow/schemas/config.schema.yaml")

SCALE = config["scale"]
RESULTS = config["results"]
DATA = config["data"]["sets"]
IN_STORAGE = bool(workflow.storage_settings.default_storage_provider)
IMAGES = sets.Images(config["data"]["source"], int(config["data"]["seed"]))


wildcard_constraints:
    scale="[^/]+",
    problem="|".join(PROBLEMS),
    config=r"[^/]+(/[^/]+)*",
    setting="[^/]+",
    seed=r"\d+",
    figure="[^/.]+",


FIGURES = told_in_one_line(figure_names)()


@told_in_one_line
@cache
def run_spec(scale, problem, config, setting, seed):
    return first_run(problem, config, scale, setting, IMAGES).with_seed(int(seed))


def spec_of(wildcards):
    """The run that a metrics file is of, or the first of ten."""
    return run_spec(
        wildcards.scale,
        wildcards.problem,
        wildcards.config,
        wildcards.setting,
        wildcards.get("seed") or f"{wildcards.tens}0",
    )


@told_in_one_line
@cache
def figure_at(name, scale):
    return load_figure(name, scale)


@cache
def drawable_figures():
    """All but those with a picture that this machine cannot draw, which are told."""
    reasons = {name: figure_at(name, SCALE).undrawable() for name in FIGURES}
    for name, reason in reasons.items():
        if reason:
            print(f"left out: {name}: {reason}", file=sys.stderr)
    return [name for name, reason in reasons.items() if not reason]


@told_in_one_line
def data_identity(name, source):
    """What a set of images depends on; the seed counts where it is drawn or chosen by it."""
    supplied, folder = data_folder(source), sets.folder_of(name, source, Path(DATA))
    if supplied:
        originals.check_supplied(
            Path(supplied), sets.files(name, source, data=Path(DATA)), folder
        )
    elif (name, source) == ("imagenet", "original"):
        originals.imagenet_by_hand(folder)
    return json.dumps(sets.Images(source, IMAGES.seed).identity(name))


def seeds_of(wildcards):
    """Those that a job does, for the command line: one, or ten."""
    return wildcards.get("seed") or f"{wildcards.tens}0-{wildcards.tens}9"


@told_in_one_line
def data_files(wildcards):
    """The images that a run learns from. It is asked for when a job enters the DAG: the time to look at what is there."""
    spec = spec_of(wildcards)
    first, _, last = seeds_of(wildcards).partition("-")
    seeds = range(int(first), int(last or first) + 1)
    runs = {
        f"{RESULTS}/{spec.folder.with_name(f'seed-{seed}')}/metrics.parquet": seed
        for seed in seeds
    }
    force_unwanted(
        runs,
        lambda path: why_not(spec.with_seed(runs[path]), Path(RESULTS)),
        f"runs of {spec.name_of_all_seeds}",
    )
    return image_files(spec.problem.data, spec.parameters.classes(spec.seed))


@told_in_one_line
def collected_files(wildcards):
    """The runs that a figure shows; it is asked for when its table enters the DAG, as above."""
    figure = figure_at(wildcards.figure, wildcards.scale)
    force_unwanted(
        [f"{RESULTS}/{figure.scale}/collected/{figure.name}.parquet"],
        lambda path: why_not_collected(figure, Path(path)),
        f"the table of {figure.name}",
    )
    return [f"{RESULTS}/{path}" for path in figure.files()]


def force_unwanted(paths, why_unwanted, what):
    """Have a job done again whose files are there, but not the wanted ones, where Snakemake has no record of them.

    It compares params with its records alone, which results copied from elsewhere lack; the files tell by themselves.
    """
    if IN_STORAGE or not workflow.is_main_process:
        return
    there = [path for path in paths if os.path.exists(path)]
    if all(workflow.persistence.metadata(IOFile(path)) for path in there):
        return
    for path in there:
        why = why_unwanted(path)
        # What is damaged is told when it is read: nothing is deleted that cannot be.
        if why not in ("", DAMAGED):
            workflow.dag.forcefiles.add(path)
            tell(f"made again: {what}, {why}")


@cache
def tell(line):
    """Once, on standard error."""
    print(line, file=sys.stderr)


@told_in_one_line
def image_files(name, classes):
    """The files of a set of images, if there is one; of ImageNet, of some classes.

    Of those that the same job makes the first stands for all: up to a thousand inputs a run are too many to be read, or
    to be fast. The run itself looks whether all are there. From a storage each has to be fetched.
    """
    if not name:
        return []
    if not IN_STORAGE:
        together = 10 if IMAGES.source == "glyphs" else sets.CLASSES
        classes = dict.fromkeys(number // together * together for number in classes)
    return sets.files(name, IMAGES.source, classes, Path(DATA))


def picture_files(wildcards):
    """The images that a figure shows."""
    pictures = figure_at(wildcards.figure, SCALE).pictures
    files = [image_files(picture.data, picture.classes) for picture in pictures]
    return list(dict.fromkeys(chain(*files)))


@told_in_one_line
def asked_for(wildcards):
    """What a scheduler is asked for, for a job."""
    spec = spec_of(wildcards)
    return resources(spec, config["device"], 10 if spec.problem.tens else 1)


def data_folder(source):
    """Where the user has the originals, if anywhere."""
    return config["data"]["folder"] or "" if source == "original" else ""
