"""Locations of the project's files.

The code is where the package is installed. Configuration, results and data belong to a project: the current folder if
it contains config/scales, as in a workflow that imports this one as a module, otherwise the folder of the package.
"""

from pathlib import Path

import lop
from lop.common.errors import InputError

ROOT = Path(lop.__file__).resolve().parents[1]
PROJECT = Path.cwd() if Path("config/scales").is_dir() else ROOT
CONFIG = PROJECT / "config"


def above(path: Path, below: Path) -> Path:
    """Remove `below` from the end of `path`: `/disk/data/original/mnist` and `original/mnist` give `/disk/data`.

    If the workflow's files are kept in a Snakemake storage, only Snakemake knows their local paths.

    Raises:
        InputError: `path` does not end with `below`.
    """
    count = len(below.parts)
    if path.parts[-count:] != below.parts:
        raise InputError(
            f"{path}: unexpected path, allowed: one that ends with {below}; code or configuration has changed "
            "since this path was requested"
        )
    return Path(*path.parts[:-count])


def shown(path: Path) -> str:
    """Return a path for use in messages: relative to the current folder if inside it."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
