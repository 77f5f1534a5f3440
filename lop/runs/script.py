"""For scripts that the workflow runs: bad input is one line, there and in the log."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lop.common.errors import InputError, told_in_one_line


@contextmanager
def logged(log: str) -> Iterator[None]:
    """Run the block; an InputError becomes one line on standard error and in `log`, and exit status 2."""
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    with told_in_one_line():
        try:
            yield
        except InputError as error:
            path.write_text(f"error: {error}\n")
            raise
