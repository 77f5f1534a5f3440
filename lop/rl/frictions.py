"""Frictions of Slippery Ant and the times of their changes.

The friction changes with the first episode that starts more than `change_time` steps after the last change.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lop.common.errors import InputError
from lop.common.paths import shown

LOWEST, HIGHEST = 0.02, 2.0


def drawn(seed: int, n: int) -> list[float]:
    """Draw frictions that are log-uniform in [0.02, 2].

    Args:
        seed: Seed of the run.
        n: Number of frictions. A longer sequence begins with the same frictions.

    Returns:
        The frictions, in order.
    """
    exponents = np.random.default_rng([seed, 1]).uniform(np.log10(LOWEST), np.log10(HIGHEST), n)
    return (10.0**exponents).tolist()


def read(path: Path, seed: int, n: int) -> list[float]:
    """Read the frictions of a seed from a text file.

    Args:
        path: File. Its first line contains the frictions of seed 0, separated by blanks or commas, its second line
            those of seed 1, and so on.
        seed: Seed of the run.
        n: Minimum number of frictions.

    Raises:
        InputError: If the file cannot be read, or the line has fewer frictions or invalid ones.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise InputError(f"{shown(path)}: key `frictions_file`: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{shown(path)}: found binary data, allowed: lines of numbers, the first for seed 0") from None
    words = lines[seed].replace(",", " ").split() if seed < len(lines) else []
    if len(words) < n:
        raise InputError(
            f"{shown(path)}: frictions of seed {seed}: found {len(words)}, allowed: at least {n}, the maximum for "
            "`n_steps` and `change_time`"
        )
    for word in words:
        try:
            good = 0 <= float(word) < float("inf")
        except ValueError:
            good = False
        if not good:
            raise InputError(f"{shown(path)}: line {seed + 1}: found {word!r}, allowed: frictions of at least 0")
    return [float(word) for word in words]


class Frictions:
    """Sequence of the frictions of a run.

    Args:
        sequence: Frictions in order, at least `most` of them.
        change_time: Minimum number of steps between two changes.
    """

    def __init__(self, sequence: Sequence[float], change_time: int):
        self.sequence, self.change_time = sequence, change_time
        self.number, self.changed_at = 0, 0

    @staticmethod
    def most(n_steps: int, change_time: int) -> int:
        """Return the maximum number of frictions in a run of `n_steps` steps."""
        return n_steps // (change_time + 1) + 1

    @property
    def current(self) -> float:
        """Current friction."""
        return self.sequence[self.number]

    def episode_ended(self, step: int) -> bool:
        """Record the end of an episode, and change the friction if a change is due.

        Args:
            step: Step that ended the episode, counted from 0.

        Returns:
            Whether the friction has changed.
        """
        if step - self.changed_at <= self.change_time:
            return False
        self.number, self.changed_at = self.number + 1, step
        return True

    def state_dict(self) -> dict[str, int]:
        """Return the position in the sequence and the step of the last change."""
        return {"number": self.number, "changed_at": self.changed_at}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore what `state_dict` returned."""
        self.number, self.changed_at = state["number"], state["changed_at"]
