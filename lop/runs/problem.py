"""Problems: folders of the library with a training script, parameters and cfg files."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lop.common.paths import ROOT
from lop.runs.parameters import Parameters


@dataclass(frozen=True)
class Problem:
    """Problem of the paper, or user-defined: entry module of its runs and class of their parameters."""

    name: str
    entry: str  #: module that runs execute; its imports determine the code of the runs
    parameters_class: str  #: ``module:class``, importable without torch
    data: str = ""  #: image set that runs learn from, if any

    @property
    def folder(self) -> Path:
        """Folder of the problem in the library."""
        return ROOT / "lop" / self.name

    @cached_property
    def model(self) -> type[Parameters]:
        """Class of the parameters, imported on first access."""
        module, _, name = self.parameters_class.partition(":")
        return getattr(importlib.import_module(module), name)

    def cfg_path(self, config: str) -> Path:
        """Return the cfg file of a config."""
        return self.folder / "cfg" / f"{config}.yml"

    def configs(self) -> list[str]:
        """Return the names of all configs, one per file in the cfg folder."""
        folder = self.folder / "cfg"
        return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yml"))
