"""All problems by name: each package of the library with a cfg folder defines a `PROBLEM`."""

import importlib
from functools import cache

from lop.runs.configured import problem_names
from lop.runs.problem import Problem
from lop.runs.spec import Conditions, RunSpec, resolve

PROBLEMS: dict[str, Problem] = {name: importlib.import_module(f"lop.{name}").PROBLEM for name in problem_names()}


@cache
def first_run(problem: str, config: str, scale: str, setting: str, conditions: Conditions = Conditions()) -> RunSpec:
    """Return the run of a setting with seed 0, from `resolve`; use `RunSpec.with_seed` for other seeds.

    It has the device that `conditions` selects for its problem.

    The result is cached, because a figure may need a hundred seeds of a setting.
    """
    return resolve(PROBLEMS[problem], config, 0, scale, setting, conditions=conditions.of(problem))
