"""Command lines whose errors are one line."""

import argparse
import math
from typing import Any, NoReturn

from lop.common.errors import InputError, hint


class Parser(argparse.ArgumentParser):
    """Parser that raises an InputError, in one line, instead of printing the usage and exiting.

    It prints the lines of descriptions unchanged.
    """

    def __init__(self, **options: Any):
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        """Raise an InputError with the message, and with the option most similar to an unknown one."""
        words = [option for action in self._actions for option in action.option_strings]
        wrong = next((word for word in message.split() if word.startswith("-")), "")
        near = hint(wrong, words) if "unrecognized" in message else ""
        raise InputError(f"command line: {message}{near or ';'} see --help")


def count(text: str) -> int:
    """Parse a whole number above 0; the type of an argument."""
    if not (text.isascii() and text.isdigit() and int(text)):
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed: a whole number above 0")
    return int(text)


def positive(text: str) -> float:
    """Parse a finite number above 0; the type of an argument."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed: a number above 0")
    return value
