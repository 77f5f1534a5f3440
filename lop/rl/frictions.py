"""The friction of Slippery Ant: which one, and when it changes.

A new friction comes with the first episode that starts more than `change_time` steps after the last change.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lop.common.errors import InputError
from lop.common.paths import shown

LOWEST, HIGHEST = 0.02, 2.0


def drawn(seed: int, n: int) -> list[float]:
    """The first n frictions of a seed, log-uniform in [0.02, 2]; more of them begin with the same."""
    exponents = np.random.default_rng([seed, 1]).uniform(np.log10(LOWEST), np.log10(HIGHEST), n)
    return (10.0**exponents).tolist()


def read(path: Path, seed: int, n: int) -> list[float]:
    """Return the frictions of a seed from a text file.

    Args:
        path: its first line has the frictions of seed 0, separated by blanks or commas, the second those of seed 1, ...
        seed: which line.
        n: how many are needed at least.

    Raises:
        InputError: the file is missing, or has fewer or something else in that line.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise InputError(f"{shown(path)}: key `frictions_file`: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown(path)}: found no text, allowed: lines of numbers, the first for seed 0") from None
    words = lines[seed].replace(",", " ").split() if seed < len(lines) else []
    if len(words) < n:
        raise InputError(
            f"{shown(path)}: frictions of seed {seed}: found {len(words)}, allowed: {n} and more, as many as `n_steps` "
            "and `change_time` may need"
        )
    for word in words:
        try:
            good = 0 <= float(word) < float("inf")
        except ValueError:
            good = False
        if not good:
            raise InputError(f"{shown(path)}: line {seed + 1}: found {word!r}, allowed: frictions, 0 and more")
    return [float(word) for word in words]


class Frictions:
    """The frictions of one run, in the order of their turn.

    Args:
        sequence: as many as the run can need; see `most`.
        change_time: least number of steps between two changes.
    """

    def __init__(self, sequence: Sequence[float], change_time: int):
        self.sequence, self.change_time = sequence, change_time
        self.number, self.changed_at = 0, 0

    @staticmethod
    def most(n_steps: int, change_time: int) -> int:
        """How many frictions a run of n_steps steps can see."""
        return n_steps // (change_time + 1) + 1

    @property
    def current(self) -> float:
        return self.sequence[self.number]

    def episode_ended(self, step: int) -> bool:
        """Tell that the step of this number, counted from 0, ended an episode; whether the friction changes now."""
        if step - self.changed_at <= self.change_time:
            return False
        self.number, self.changed_at = self.number + 1, step
        return True

    def state_dict(self) -> dict[str, int]:
        return {"number": self.number, "changed_at": self.changed_at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.number, self.changed_at = state["number"], state["changed_at"]
