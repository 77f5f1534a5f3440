"""What a problem is: a folder of the library with a training script, parameters, and cfg files."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lop.common.paths import ROOT
from lop.runs.parameters import Parameters


@dataclass(frozen=True)
class Problem:
    """One of the paper's problems, or of one's own: where its runs start, and what parameters they take."""

    name: str
    entry: str  # module that is run; what it imports is the code of its runs
    parameters_class: str  # module:class, importable without torch
    data: str = ""  # the set of images that runs learn from, if any
    tens: bool = False  # whether a job of the workflow does ten seeds, because a run is shorter than its start

    @property
    def folder(self) -> Path:
        return ROOT / "lop" / self.name

    @cached_property
    def model(self) -> type[Parameters]:
        module, _, name = self.parameters_class.partition(":")
        return getattr(importlib.import_module(module), name)

    def cfg_path(self, config: str) -> Path:
        return self.folder / "cfg" / f"{config}.yml"

    def configs(self) -> list[str]:
        """Every config there is: dropping a file into the cfg folder adds one."""
        folder = self.folder / "cfg"
        return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yml"))
