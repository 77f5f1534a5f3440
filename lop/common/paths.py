"""Where the project's files lie.

The code lies where the package is installed. Configuration, results and data belong to a project: the current folder if
it has a config/scales, as a workflow that uses this one as a module does, else the folder of the package.
"""

from pathlib import Path

import lop
from lop.common.errors import InputError

ROOT = Path(lop.__file__).resolve().parents[1]
PROJECT = Path.cwd() if Path("config/scales").is_dir() else ROOT
CONFIG = PROJECT / "config"


def above(path: Path, below: Path) -> Path:
    """Return the folder in which `path` is `below`: `/disk/data` for `/disk/data/original/mnist` and `original/mnist`.

    Where the workflow's files are kept in a storage, only Snakemake knows where a job finds them.

    Raises:
        InputError: the path does not end so.
    """
    count = len(below.parts)
    if path.parts[-count:] != below.parts:
        raise InputError(
            f"{path}: found another address, allowed: one that ends with {below}; code or configuration has changed "
            "since this path was asked for"
        )
    return Path(*path.parts[:-count])


def shown(path: Path) -> str:
    """Return a path as messages name it: relative to the current folder if it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
