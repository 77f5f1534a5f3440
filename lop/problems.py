"""All problems, by name: every package of the library that has a cfg folder defines its `PROBLEM`."""

import importlib
from functools import cache

from lop.common.paths import ROOT
from lop.runs.problem import Problem
from lop.runs.spec import Conditions, RunSpec, resolve

PROBLEMS: dict[str, Problem] = {
    folder.parent.name: importlib.import_module(f"lop.{folder.parent.name}").PROBLEM
    for folder in sorted(ROOT.glob("lop/*/cfg"))
}


@cache
def first_run(problem: str, config: str, scale: str, setting: str, conditions: Conditions = Conditions()) -> RunSpec:
    """Return the run of seed 0 of a setting, as `resolve` finds it; `with_seed` gives those of other seeds.

    Configuration is read once: a figure has up to a hundred seeds of a setting.
    """
    return resolve(PROBLEMS[problem], config, 0, scale, setting, conditions=conditions)
