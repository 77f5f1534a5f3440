"""Conversion between integers and text such as `0-3, 7`."""

import re
from collections.abc import Iterable
from itertools import groupby


def ranges(numbers: Iterable[int], separator: str = ", ") -> str:
    """Format integers as text: 0, 1, 2, 3, 7 give `0-3, 7`."""
    steps = groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])
    runs = [[n for _, n in run] for _, run in steps]
    return separator.join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


MOST_NUMBERS = 10_000


def numbers_of(text: str) -> list[int]:
    """Parse text such as `0-3,7` into integers: 0, 1, 2, 3, 7.

    Raises:
        ValueError: the text is malformed, a range in it ends before it begins, or there are more than 10,000 numbers.
    """
    numbers: list[int] = []
    for part in text.split(","):
        matched = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part.strip())
        if not matched or int(matched[2] or matched[1]) < int(matched[1]):
            raise ValueError(f"numbers must be integers and ranges such as 7, 0-9 or 0-3,7, got {text!r}")
        first, last = int(matched[1]), int(matched[2] or matched[1])
        if len(numbers) + last - first >= MOST_NUMBERS:
            raise ValueError(f"at most {MOST_NUMBERS:,} numbers are allowed, got {text!r}")
        numbers += range(first, last + 1)
    return numbers
