"""Errors that are the user's to mend."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_BAD_INPUT = 2


class InputError(Exception):
    """Bad input, told in one line; command-line entry points print it and exit with status 2."""


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Run a block; an InputError becomes one line on standard error and exit status 2."""
    try:
        yield
    except InputError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(EXIT_BAD_INPUT) from None
