"""User-facing errors."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

EXIT_BAD_INPUT = 2
EXIT_NOT_READ = 141  # exit status of a program killed by SIGPIPE


class InputError(Exception):
    """Bad input, described in one line; command-line entry points print it and exit with status 2."""


def tell(error: InputError) -> None:
    """Print an error as one line on standard error."""
    print(f"error: {error}", file=sys.stderr, flush=True)


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Report an InputError in the block as one line on standard error, and exit with status 2.

    If standard output is closed, as by `| head`, exit silently with status 141.
    """
    try:
        yield
        sys.stdout.flush()
    except InputError as error:
        tell(error)
        raise SystemExit(EXIT_BAD_INPUT) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again at exit
        raise SystemExit(EXIT_NOT_READ) from None
