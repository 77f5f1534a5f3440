"""All problems, by name: every folder of the library that has a cfg folder tells its `PROBLEM`.

No run imports this, so that another problem makes no run stale.
"""

import importlib

from lop.paths import ROOT
from lop.runs.problem import Problem

PROBLEMS: dict[str, Problem] = {
    folder.parent.name: importlib.import_module(f"lop.{folder.parent.name}").PROBLEM
    for folder in sorted(ROOT.glob("lop/*/cfg"))
}
