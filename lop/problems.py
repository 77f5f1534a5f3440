"""All problems, by name: every folder of the library that has a cfg folder tells its `PROBLEM`.

No run imports this, so that another problem makes no run stale.
"""

import importlib
from functools import cache

from lop.common.paths import ROOT
from lop.data.sets import Images
from lop.runs.problem import Problem
from lop.runs.spec import RunSpec, resolve

PROBLEMS: dict[str, Problem] = {
    folder.parent.name: importlib.import_module(f"lop.{folder.parent.name}").PROBLEM
    for folder in sorted(ROOT.glob("lop/*/cfg"))
}


@cache
def first_run(problem: str, config: str, scale: str, setting: str, images: Images | None = None) -> RunSpec:
    """The run of seed 0 of a setting, as `resolve` finds it; those of other seeds are its `with_seed`.

    Configuration is read once: a figure has up to a hundred seeds of a setting.
    """
    return resolve(PROBLEMS[problem], config, 0, scale, setting, images=images)
