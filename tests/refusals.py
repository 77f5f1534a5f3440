"""Check error messages by the facts that they name, not by their wording."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lop.common.errors import EXIT_BAD_INPUT, InputError


@contextmanager
def refusal(*facts: object, error: type[Exception] = InputError) -> Iterator[None]:
    """Expect an error whose message is a single line that names all facts, each as a whole word.

    Args:
        facts: what a user needs to know, compared as text: file, key or argument, value found, values allowed.
        error: expected type of the error.
    """
    __tracebackhide__ = True
    with pytest.raises(error) as raised:
        yield
    names(str(raised.value), *facts)


def names(message: str, *facts: object) -> None:
    """Assert that a message is a single line that names all facts, each as a whole word.

    A number does not match part of a longer one: `1` is not found in `-1`, `1.5`, `0.1`, `1,000` or `seed-1`.
    """
    __tracebackhide__ = True
    missing = [str(fact) for fact in facts if not re.search(_whole_word(str(fact)), message)]
    assert not missing, f"{missing} not in the message: {message}"
    assert len(message.splitlines()) == 1, f"more than one line: {message!r}"


def error_line(capsys: pytest.CaptureFixture[str], command: Callable[..., object], *arguments: object) -> str:
    """Return the single line that a command writes to standard error; it must exit with the status of bad input."""
    with pytest.raises(SystemExit) as ended:
        command(*arguments)
    assert ended.value.code == EXIT_BAD_INPUT
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def _whole_word(fact: str) -> str:
    before = r"(?<![\w-])(?<!\d[.,])" if fact[:1].isdigit() else r"(?<!\w)"
    after = r"(?!\w|[.,]\d)" if fact[-1:].isdigit() else r"(?!\w)"
    return before + re.escape(fact) + after
