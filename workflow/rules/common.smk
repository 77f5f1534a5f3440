# What the rules share: names from the configuration, and the library's answers to what a file is made of.

import json
import logging
import os
import sys
from functools import cache, wraps
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from lop import errors
from lop.data import originals, sets
from lop.figures.registry import figure_names, load_figure
from lop.paths import ROOT
from lop.plan.resources import resources
from lop.problems import PROBLEMS
from lop.runs.spec import resolve


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
    return resolve(PROBLEMS[problem], config, int(seed), scale, setting, images=IMAGES)


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


def data_files(wildcards):
    """The images that a run learns from."""
    return made_together(spec_of(wildcards).data_files(Path(DATA)))


def made_together(files):
    """One of those files that the same job makes: up to a thousand inputs a run are too many to be read, or to be fast.

    The run itself looks whether all are there. From a storage each has to be fetched.
    """
    if IN_STORAGE:
        return list(files)
    tens = IMAGES.source == "glyphs"
    first = {
        path: path.with_stem(f"{int(path.stem) // 10 * 10 if tens else 0}")
        for path in files
        if path.suffix == ".npy"
    }
    return list(dict.fromkeys(first.get(path, path) for path in files))


def picture_files(wildcards):
    """The images that a figure shows."""
    pictures = figure_at(wildcards.figure, SCALE).pictures
    images = Path(DATA, IMAGES.source)
    return made_together(
        [path for picture in pictures for path in picture.files(images)]
    )


def seeds_of(wildcards):
    """Of a job, for the command line: one, or ten."""
    return wildcards.get("seed") or f"{wildcards.tens}0-{wildcards.tens}9"


@told_in_one_line
def asked_for(wildcards):
    """What a scheduler is asked for, for a job."""
    spec = spec_of(wildcards)
    return resources(spec, config["device"], 10 if spec.problem.tens else 1)


def data_folder(source):
    """Where the user has the originals, if anywhere."""
    return config["data"]["folder"] or "" if source == "original" else ""
