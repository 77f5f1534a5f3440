"""Where the project's files lie, found from the package's own place (`pip install -e .`)."""

from pathlib import Path

import lop

ROOT = Path(lop.__file__).resolve().parents[1]
CONFIG = ROOT / "config"
RESULTS = ROOT / "results"


def shown(path: Path) -> str:
    """A path as messages name it: from the current folder where it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
