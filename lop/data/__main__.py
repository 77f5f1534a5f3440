"""Command line that creates the files of an image set, such as `python -m lop.data mnist`."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lop.common.arguments import Parser
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import PROJECT, shown
from lop.common.ranges import numbers_of
from lop.data.formats import IMAGENET_CLASSES
from lop.data.prepare import prepare
from lop.data.sets import SETS, SOURCES, ImageSource
from lop.runs.configured import configured


def main(argv: Sequence[str] | None = None) -> None:
    """Create the set that the command line selects; report bad input in one line and exit with status 2."""
    with told_in_one_line():
        given = _parser().parse_args(argv)
        supplied = Path(given.folder) if given.folder else None
        images = ImageSource(given.source, given.seed)
        if given.output:
            given.data = images.data_above(given.output, given.set)
        made = prepare(given.set, images, classes_of(given.classes), supplied, given.data)
        print(f"{given.set}: {len(made)} files in {shown(made[0].parent)}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.data", description="create the files of an image set")
    parser.add_argument("set", choices=SETS)
    parser.add_argument("--source", choices=SOURCES, default="glyphs", help="source (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the images (default: %(default)s)")
    parser.add_argument(
        "--classes",
        default=f"0-{IMAGENET_CLASSES - 1}",
        help="classes of imagenet, such as 7, 0-9 or 0-3,7 (default: %(default)s)",
    )
    parser.add_argument("--folder", default="", help="folder with your copy of the original data sets")
    parser.add_argument("--output", type=Path, help="one of the files to create, instead of --data")
    parser.add_argument(
        "--data",
        type=Path,
        default=PROJECT / configured().data.sets,
        help="folder of all image sets (default: %(default)s)",
    )
    return parser


def classes_of(text: str) -> list[int]:
    """Parse class numbers such as `7`, `0-9` or `0-3,7`; ranges include their last number.

    Raises:
        InputError: the text is malformed.
    """
    try:
        return numbers_of(text)
    except ValueError:
        raise InputError(f"--classes: found {text!r}, allowed: numbers and ranges such as 7, 0-9 or 0-3,7") from None


if __name__ == "__main__":
    main()
