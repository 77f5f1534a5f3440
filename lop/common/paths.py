"""Where the project's files lie, found from the package's own place (`pip install -e .`)."""

from pathlib import Path

import lop

ROOT = Path(lop.__file__).resolve().parents[1]
CONFIG = ROOT / "config"
RESULTS = ROOT / "results"


def above(path: Path, below: Path) -> Path:
    """The folder in which `path` is `below`: of `/disk/data/glyphs/mnist`, with `glyphs/mnist`, it is `/disk/data`.

    Where the workflow's files are kept in a storage, Snakemake alone knows where a job finds them.

    Raises:
        ValueError: the path does not end so.
    """
    count = len(below.parts)
    if path.parts[-count:] != below.parts:
        raise ValueError(f"Invalid path: {path} (allowed: one that ends with {below})")
    return Path(*path.parts[:-count])


def shown(path: Path) -> str:
    """A path as messages name it: from the current folder where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
