"""Make the n-th operation on files fail, or kill the process right before or after it."""

import errno
import importlib
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import scripts
from operations import Watched
from power_cuts import PowerCuts, spread

from lop.common.errors import told_in_one_line
from lop.figures.collect import collect, read_collected, write_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs, table_path
from lop.runs.spec import Conditions

ERRORS = {name: getattr(errno, name) for name in ("EIO", "ENOSPC", "EACCES")}
KILLS = ("killed before", "killed after")
FAULTS = (*ERRORS, *KILLS)


class Injected(Watched):
    """Context manager that injects a fault into one operation on the files of a folder.

    Args:
        folder: other files are not affected.
        number: operation to fail, from 0; None to count only.
        fault: one of `FAULTS`.
        lasting: whether all later operations fail too.
    """

    def __init__(self, folder: Path, number: int | None = None, fault: str = "", lasting: bool = False):
        super().__init__(folder)
        self.number, self.fault, self.lasting = number, fault, lasting

    def operate(self, name: str, path: Path, function: Callable, *args, **kwargs):
        number = len(self.operations) - 1
        if self.number is None or number < self.number or (number > self.number and not self.lasting):
            return function(*args, **kwargs)
        if self.fault in ERRORS:
            raise OSError(ERRORS[self.fault], os.strerror(ERRORS[self.fault]))
        if self.fault == "killed after":
            function(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)


def command(python: Path, program: str, given: Mapping[str, Any]) -> list[str]:
    """Return the command that executes a program of `PROGRAMS`; its keyword arguments are plain JSON values."""
    return [str(python), __file__, program, json.dumps(given, default=str)]


def execute(python: Path, program: str, given: Mapping[str, Any], output: Path) -> int:
    """Execute a program of `PROGRAMS` in a process of its own.

    Args:
        python: interpreter.
        program: name of the program.
        given: its keyword arguments.
        output: file for standard output and error.

    Returns:
        The exit status, or minus the signal that killed the process.
    """
    with open(output, "w") as stream:
        return subprocess.run(command(python, program, given), stdout=stream, stderr=stream).returncode


def cases(count: int, most: int | None) -> list[tuple[int, str]]:
    """Return pairs of an operation and a fault: every pair, or `most` operations with one fault each in turn."""
    if most is None:
        return list(itertools.product(range(count), FAULTS))
    return list(zip(spread(count, most), itertools.cycle(FAULTS), strict=False))


def watcher(folder: Path, states: str | None = None, most: int | None = None, **fault: Any) -> Watched:
    """Return what watches a program: it records power cuts in the folder `states` if given, else injects a fault."""
    return PowerCuts(folder, Path(states), most) if states else Injected(folder, **fault)


def run(folder: str, script: str, arguments: list, limit: int | None = None, **watched: Any) -> list[str]:
    """Run a script with results in a folder; files cannot grow beyond `limit` bytes."""
    if limit is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    with watcher(Path(folder), **watched) as watching:
        scripts.run(importlib.import_module(script), *arguments, "--results", folder)
    return watching.operations


def build_figure(folder: str, **watched: Any) -> list[str]:
    """Collect and draw figure 4a at smoke scale from runs in a folder."""
    figure = load_figure("fig4a", "smoke")
    runs, results = shown_runs(figure, Conditions()), Path(folder)
    table = results / table_path(figure, runs)
    with watcher(results, **watched) as watching, told_in_one_line():
        write_collected(collect(figure, runs, results), table)
        draw(read_collected(table), figure, results / "figures")
    return watching.operations


PROGRAMS = {"run": run, "build_figure": build_figure}

if __name__ == "__main__":
    given = json.loads(sys.argv[2])
    operations = PROGRAMS[sys.argv[1]](**given)
    if given.get("number") is given.get("limit") is None:
        Path(given["folder"]).with_suffix(".operations").write_text("\n".join(operations))
