# What the rules share: names from the configuration, and the library's answers to what a file is made of.

import sys
from functools import cache

from lop.figures.registry import figure_names, load_figure
from lop.runs.spec import PROBLEMS, resolve

SCALE = config["scale"]
RESULTS = config["results"]
FIGURES = figure_names()


wildcard_constraints:
    scale="[^/]+",
    problem="|".join(PROBLEMS),
    config=r"[^/]+(/[^/]+)*",
    setting="[^/]+",
    seed=r"\d+",
    figure="[^/.]+",


@cache
def run_spec(scale, problem, config, setting, seed):
    return resolve(PROBLEMS[problem], config, int(seed), scale, setting)


def spec_of(wildcards):
    """The run that a metrics file is of."""
    return run_spec(wildcards.scale, wildcards.problem, wildcards.config, wildcards.setting, wildcards.seed)


@cache
def figure_at(name, scale):
    return load_figure(name, scale)
