"""How far a run is: one line that is redrawn on a terminal, or now and then a new line in a log."""

import sys
import time
from typing import TextIO

TEN_MINUTES = 600.0


class Progress:
    """Tells on a stream how far a run is.

    Args:
        name: of the run. total: steps it has. unit: what a step is.
        every: least seconds between two lines of a log, which come at each percent or every ten minutes; on a terminal
            the line is redrawn every second.
        stream: where to; by default standard error.
    """

    def __init__(self, name: str, total: int, unit: str, every: float = 60.0, stream: TextIO | None = None):
        self.name, self.total, self.unit = name, total, unit
        self.stream = stream or sys.stderr
        self.redraw = self.stream.isatty()
        self.every = 1.0 if self.redraw else every
        self.started = self.last = time.monotonic()
        self.first_step = self.last_step = 0

    def begin(self, step: int) -> None:
        """Called once, with the step that the run starts or goes on from."""
        self.first_step = self.last_step = step
        self.started = self.last = time.monotonic()
        if step:
            self._write(f"{self.name}: goes on from {step:,} of {self.total:,} {self.unit}", ends=True)

    def update(self, step: int, facts: str = "") -> None:
        """Tell, if it is time to."""
        now = time.monotonic()
        silent, much = now - self.last, step - self.last_step >= self.total / 100
        if silent >= self.every and (much or self.redraw or silent >= TEN_MINUTES):
            self.last, self.last_step = now, step
            self._write(self.line(step, now - self.started, facts), ends=False)

    def line(self, step: int, seconds: float, facts: str) -> str:
        """What is told at `step`, `seconds` after the beginning."""
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
        self._write(f"{self.name}: {text}", ends=True)

    def _write(self, text: str, ends: bool) -> None:
        if self.redraw:
            self.stream.write(f"\r\x1b[K{text}" + ("\n" if ends else ""))
        else:
            self.stream.write(text + "\n")
        self.stream.flush()


def duration(seconds: float) -> str:
    """A length of time for people: 45 s, 3 min 20 s, 5 h 10 min, 2 d 3 h."""
    seconds = round(seconds)
    for unit, name, smaller, smaller_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= unit:
            return f"{seconds // unit} {name} {seconds % unit // smaller} {smaller_name}"
    return f"{seconds} s"
