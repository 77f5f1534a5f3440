"""Problems: folders of the library with a training script, parameters and cfg files."""

import importlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lop.common.paths import ROOT
from lop.runs.parameters import Parameters


@dataclass(frozen=True)
class Problem:
    """A problem of the paper or of a user: the entry module of its runs and the class of their parameters."""

    name: str
    entry: str  # module that runs execute; its imports are the code of its runs
    parameters_class: str  # module:class, importable without torch
    data: str = ""  # set of images that runs learn from, if any

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
        """Return all configs, one per file in the cfg folder."""
        folder = self.folder / "cfg"
        return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yml"))
