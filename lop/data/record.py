"""What a file of images is made of, in a small file beside it: .7.npy.made_of.json.

It holds the beginning's digest too, so that it counts for that file alone, not for one that was put in its place. The
time of a file could not tell: Snakemake sets it when a job is done.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from lop.common.errors import InputError
from lop.data.checksums import read_json, write_json

BEGINNING = 4096  # bytes; files that are drawn from two seeds differ in their first image


def record(path: Path, made_of: Mapping[str, str | int]) -> None:
    """Write down what a file is made of: `lop.data.sets.Images.identity`."""
    write_json(_beside(path), {"made_of": dict(made_of), "begins": _beginning(path)})


def recorded(path: Path) -> dict[str, str | int] | None:
    """What a file is made of; None if nothing is known of it."""
    try:
        found = read_json(_beside(path))
    except (InputError, OSError):
        return None
    made_of = found.get("made_of")
    return made_of if isinstance(made_of, dict) and found.get("begins") == _beginning(path) else None


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.made_of.json")


def _beginning(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read(BEGINNING)).hexdigest()
