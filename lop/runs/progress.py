"""Progress of a run: one line that is redrawn on a terminal, or occasional new lines in a log."""

import sys
import time
from typing import TextIO

TEN_MINUTES = 600.0


class Progress:
    """Progress report of a run on a stream.

    Args:
        name: name of the run.
        total: number of steps.
        unit: name of a step.
        every: minimum seconds between two lines of a log; lines appear after each percent or every ten minutes. On a
            terminal, the line is redrawn every second.
        stream: output stream; standard error by default.
    """

    def __init__(self, name: str, total: int, unit: str, every: float = 60.0, stream: TextIO | None = None):
        self.name, self.total, self.unit = name, total, unit
        self.stream = stream or sys.stderr
        self.redraw = self.stream.isatty()
        self.every = 1.0 if self.redraw else every
        self.started = self.last = time.monotonic()
        self.first_step = self.last_step = 0

    def begin(self, step: int) -> None:
        """Report the step from which the run starts or continues; call once."""
        self.first_step = self.last_step = step
        self.started = self.last = time.monotonic()
        if step:
            self._write(f"{self.name}: continues from {step:,} of {self.total:,} {self.unit}", ends=True)

    def update(self, step: int, facts: str = "") -> None:
        """Write a line if one is due."""
        now = time.monotonic()
        silent, much = now - self.last, step - self.last_step >= self.total / 100
        if silent >= self.every and (much or self.redraw or silent >= TEN_MINUTES):
            self.last, self.last_step = now, step
            self._write(self.line(step, now - self.started, facts), ends=False)

    def line(self, step: int, seconds: float, facts: str) -> str:
        """Return the line for `step`, `seconds` after the start."""
        rate = (step - self.first_step) / seconds if seconds > 0 else 0.0
        left = duration((self.total - step) / rate) if rate > 0 else "unknown time"
        parts = [
            f"{self.name} {100 * step / self.total:3.0f}%",
            f"{step:,} of {self.total:,} {self.unit}",
            f"{rate:,.0f} {self.unit}/s",
            *([facts] if facts else []),
            f"{left} left",
        ]
        return " | ".join(parts)

    def end(self, text: str) -> None:
        """Write a final line."""
        self._write(f"{self.name}: {text}", ends=True)

    def _write(self, text: str, ends: bool) -> None:
        if self.redraw:
            self.stream.write(f"\r\x1b[K{text}" + ("\n" if ends else ""))
        else:
            self.stream.write(text + "\n")
        self.stream.flush()


def duration(seconds: float) -> str:
    """Return a duration as text: 45 s, 3 min 20 s, 5 h 10 min, 2 d 3 h."""
    seconds = round(seconds)
    for unit, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit:
            return f"{seconds // unit} {name} {seconds % unit // smaller} {smaller_name}"
    return f"{seconds} s"
