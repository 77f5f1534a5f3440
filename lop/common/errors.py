"""User-facing errors."""

import difflib
import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

EXIT_BAD_INPUT = 2
LONGEST = 2_000  # characters of a message
EXIT_NOT_READ = 141  # exit status of a program killed by SIGPIPE
TORCH_OUT_OF_MEMORY = ("can't allocate memory", "out of memory")  # in the messages of PyTorch's RuntimeError


class InputError(Exception):
    """Bad input, described in one line; command-line entry points print it and exit with status 2."""

    def __str__(self) -> str:
        """Return the message in one line, although it may contain names and other messages with several lines."""
        return " ".join(line.strip() for line in super().__str__().splitlines())


def hint(word: object, names: Iterable[str]) -> str:
    """Return `; did you mean <name>?` for the name most similar to a word, or an empty string if none is similar."""
    near = difflib.get_close_matches(str(word), list(names), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def tell(error: InputError) -> None:
    """Print an error as one line on standard error; the middle of a very long one is left out."""
    text = str(error).encode("utf-8", "backslashreplace").decode()  # a path may contain any bytes
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}"
    print(f"error: {text}", file=sys.stderr, flush=True)


def _open_streams() -> None:
    """Open standard streams that are closed, so that nothing fails to write and no other file takes their place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may contain what its encoding lacks


@contextmanager
def failures_as_input_errors() -> Iterator[None]:
    """Convert failures of the machine: files that cannot be read or written, and lack of memory.

    Raises:
        InputError: such a failure occurred in the block.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        raise InputError(f"{where}{error.strerror or error}") from error
    except MemoryError as error:
        raise InputError("not enough memory") from error
    except RuntimeError as error:
        if not any(words in str(error) for words in TORCH_OUT_OF_MEMORY):
            raise
        raise InputError(f"not enough memory: {error}") from error


@contextmanager
def told_in_one_line() -> Iterator[None]:
    """Report bad input and failures of the machine as one line on standard error, and exit with status 2.

    If standard output is closed, as by `| head`, exit silently with status 141.
    """
    _open_streams()
    try:
        with failures_as_input_errors():
            yield
            sys.stdout.flush()
    except InputError as error:
        tell(error)
        raise SystemExit(EXIT_BAD_INPUT) from None
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes again at exit
        raise SystemExit(EXIT_NOT_READ) from None
