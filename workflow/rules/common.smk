# What the rules share: names from the configuration, and the library's answers to what a file is made of.

import sys
from functools import cache

from lop.errors import InputError
from lop.runs.spec import PROBLEMS, resolve

SCALE = config["scale"]
RESULTS = config["results"]


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
