"""Helpers for the scripts of the workflow: selection of runs, and one-line errors on standard error and in the log."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lop.common.arguments import Parser
from lop.common.errors import InputError, failures_as_input_errors, told_in_one_line
from lop.runs.configured import add_options, conditions_of
from lop.runs.spec import Conditions


def selected(options: str) -> tuple[str, Conditions]:
    """Parse the options of `lop.runs.configured.add_options` and return the scale and the conditions."""
    parser = Parser()
    add_options(parser)
    parsed = parser.parse_args(shlex.split(options))
    return parsed.scale, conditions_of(parsed)


@contextmanager
def logged(log: str) -> Iterator[None]:
    """Report an InputError in the block as one line on standard error and in `log`, and exit with status 2."""
    path = Path(log)
    with told_in_one_line():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        try:
            with failures_as_input_errors():
                yield
        except InputError as error:
            path.write_text(f"error: {error}\n", "utf-8", errors="backslashreplace")
            raise
