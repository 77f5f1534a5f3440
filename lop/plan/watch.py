"""Runs under way: progress, speed and time left, of figures or of everything in a results folder."""

import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size

from lop.common.locks import is_locked
from lop.common.paths import shown
from lop.figures.runs import by_path, shown_runs
from lop.figures.sweeps import load_collected
from lop.plan.costs import Record, estimate, read_records
from lop.runs import checkpoint
from lop.runs.progress import duration
from lop.runs.published import stored
from lop.runs.spec import CHECKPOINT, Conditions, RunSpec

BAR = 20  # characters
CLEAR = "\x1b[H\x1b[2J"


@dataclass(frozen=True)
class Progress:
    """Progress of a run, extrapolated from its last checkpoint.

    Args:
        name: name of the run.
        step: current step.
        of: number of steps, 0 if unknown.
        unit: name of a step.
        rate: steps per second.
        saved: step of the last checkpoint.
    """

    name: str
    step: int = 0
    of: int = 0
    unit: str = ""
    rate: float = 0.0
    saved: int = 0

    @property
    def left(self) -> float | None:
        """Seconds until the run ends; None if unknown, as for a run that continues a finished shorter one."""
        return (self.of - self.step) / self.rate if self.rate and self.saved < self.of else None

    def line(self) -> str:
        """Return one line of text."""
        if not self.of:
            return f"{'':{BAR}}        {self.name}: no checkpoint yet"
        done = self.step / self.of
        bar = ("█" * round(BAR * done)).ljust(BAR, "░")
        left = "unknown time" if self.left is None else duration(self.left)
        return (
            f"{bar} {done:4.0%}  {self.name}: {self.step:,} of {self.of:,} {self.unit}, {self.rate:,.0f}/s, {left} left"
        )


def progress_of(folder: Path) -> Progress:
    """Return the progress of the run in a folder, without steps if it has no checkpoint."""
    found = checkpoint.progress(folder / CHECKPOINT)
    name = found.get("name", f"{folder.parents[2].name}/{folder.parents[1].name} {folder.name}")
    try:
        step, of, seconds = found["step"], found["of"], found["seconds"]
        rate = step / seconds if seconds else 0.0
        since = time.time() - (folder / CHECKPOINT).stat().st_mtime if is_locked(folder) else 0.0
        return Progress(name, min(of, int(step + rate * since)), of, found["unit"], rate, step)
    except (KeyError, OSError):  # no checkpoint, or one of an earlier version of lop
        return Progress(name)


def running(results: Path) -> list[Progress]:
    """Return the progress of all runs that processes are executing, in the order of their folders."""
    folders = sorted(path.parent for path in results.glob("*/*/*/seed-*/.lock"))
    return [progress_of(folder) for folder in folders if is_locked(folder)]


def figure_lines(name: str, specs: Iterable[RunSpec], results: Path, records: Sequence[Record]) -> Iterator[str]:
    """Yield a line about the runs of a figure, and one about each run under way.

    The time left assumes that as many runs as now continue to be executed at a time.
    """
    specs = list(specs)
    waiting = [spec for spec in specs if not stored(spec.path, results).is_file()]
    locked = [spec for spec in waiting if is_locked(results / spec.folder)]
    going = {spec.path: progress_of(results / spec.folder) for spec in waiting}
    known = {spec.path: going[spec.path].left for spec in waiting}
    seconds = sum(estimate(spec, records).seconds if (left := known[spec.path]) is None else left for spec in waiting)
    parts = [f"{len(specs) - len(waiting):,} of {len(specs):,} runs finished"]
    if waiting:
        parts += [f"{len(locked):,} running", f"{len(waiting) - len(locked):,} waiting"]
        parts += [f"about {duration(seconds / max(len(locked), 1))} left"] if seconds == seconds else []
    yield f"{name}: {', '.join(parts)}"
    yield from (going[spec.path].line() for spec in locked)


def report(figures: dict[str, list[RunSpec]], results: Path, records: Sequence[Record]) -> list[str]:
    """Return the lines to show: about figures {name: runs}, or about all runs under way if there are none."""
    if figures:
        return [line for name, specs in figures.items() for line in figure_lines(name, specs, results, records)]
    return [one.line() for one in running(results)] or [f"no process executes a run in {shown(results)}"]


def watch(names: Sequence[str], scale: str, conditions: Conditions, results: Path, every: float, once: bool) -> None:
    """Show the runs of figures, or all runs under way, until the figures' runs are finished or the user stops it.

    Args:
        names: figures and sweeps; none for all runs under way.
        scale: scale of the figures.
        conditions: images and device of the figures' runs.
        results: folder of all results.
        every: seconds between two reports.
        once: print one report and return, as always if standard output is no terminal.
    """
    figures = {
        name: list(by_path(shown_runs(load_collected(name, scale), conditions)).values())
        for name in dict.fromkeys(names)
    }
    records = read_records(results) if figures else []
    while True:
        lines = report(figures, results, records)
        if once or not sys.stdout.isatty():
            print("\n".join(lines))
            return
        rows = get_terminal_size().lines - 1
        hidden = f"and {len(lines) - rows + 1} more lines"
        print(CLEAR + "\n".join(lines if len(lines) <= rows else [*lines[: rows - 1], hidden]), flush=True)
        if figures and all(stored(spec.path, results).is_file() for specs in figures.values() for spec in specs):
            return
        time.sleep(every)
