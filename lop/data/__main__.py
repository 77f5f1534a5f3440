"""python -m lop.data mnist: make the files of a set by hand; the workflow's rules do the same."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import PROJECT, shown
from lop.common.ranges import numbers_of
from lop.data.formats import IMAGENET_CLASSES
from lop.data.prepare import prepare
from lop.data.sets import SETS, SOURCES, ImageSource
from lop.runs.configured import configured


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and make the set; bad input ends with one line and status 2."""
    with told_in_one_line():
        given = _parser().parse_args(argv)
        supplied = Path(given.folder) if given.folder else None
        images = ImageSource(given.source, given.seed)
        if given.output:
            given.data = images.data_above(given.output, given.set)
        try:
            made = prepare(given.set, images, classes_of(given.classes), supplied, given.data)
        except OSError as error:
            raise InputError(f"{error.filename or given.data}: {error.strerror or error}") from None
        print(f"{given.set}: {len(made)} files in {shown(made[0].parent)}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lop.data", description="make the files of a set of images")
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--source", choices=SOURCES, default="glyphs", help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of built-in images; default: %(default)s")
    parser.add_argument(
        "--classes", default=f"0-{IMAGENET_CLASSES - 1}", help="of imagenet: 7, 0-9, or 0-3,7; default: %(default)s"
    )
    parser.add_argument("--folder", default="", help="take the originals from here instead of the network")
    parser.add_argument("--output", type=Path, help="one of the files that are to be made, instead of --data")
    parser.add_argument(
        "--data", type=Path, default=PROJECT / configured().data.sets, help="where sets lie; default: %(default)s"
    )
    return parser


def classes_of(text: str) -> list[int]:
    """`7`, `0-9`, or `0-3,7`; the last one of a range included."""
    try:
        return numbers_of(text)
    except ValueError:
        raise InputError(f"--classes: found {text!r}, allowed: one like 7, or some like 0-9 or 0-3,7") from None


if __name__ == "__main__":
    main()
