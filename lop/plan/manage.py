"""List the runs in the results folder, show one, compare two, remove those that no figure uses, watch those under way.

    python -m lop.runs                             # list all runs, one line per key
    python -m lop.runs show 9ed25fb76b05cce6       # show all information about one of them
    python -m lop.runs compare 9ed25fb7 b0a93859   # show differences in parameters, code and versions
    python -m lop.runs remove                      # list the runs that no figure uses at any scale, and their sizes
    python -m lop.runs remove --delete             # delete them
    python -m lop.runs watch                       # show the runs under way: progress, speed, time left
    python -m lop.runs watch fig4a --scale day     # show those of a figure, and the time left for it

A key identifies the parameters and code of a run and names the folder of its seeds. Specify a run by its key, by a
prefix of the key, or by the path of any of its files.
"""

import argparse
import json
import os
import re
import shutil
import stat
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lop.common import sources
from lop.common.arguments import Parser, positive
from lop.common.errors import InputError, told_in_one_line
from lop.common.files import read_json, remove_leftovers
from lop.common.locks import is_locked, try_lock
from lop.common.paths import CONFIG, PROJECT, shown
from lop.common.ranges import ranges
from lop.common.sources import fingerprint
from lop.data.sets import ImageSource
from lop.figures.registry import Figure, figure_names
from lop.figures.runs import shown_runs, table_path
from lop.figures.sweeps import load_collected, sweep_names
from lop.plan.watch import watch
from lop.problems import PROBLEMS, first_run
from lop.runs.configured import add_conditions, conditions_of, configured
from lop.runs.identity import differences
from lop.runs.metrics import read_about
from lop.runs.progress import duration
from lop.runs.provenance import changed_since
from lop.runs.spec import CHECKPOINT, IDENTITY, KEY_LENGTH, Conditions, metrics_files, seed_folders

HEAD = ("runs", "key", "seeds", "length", "state", "size", "age", "changed since", "wanted by")


@dataclass(frozen=True)
class Group:
    """Runs of one key: all seeds and lengths of one set of parameters and code."""

    folder: Path

    @property
    def key(self) -> str:
        """Key of the runs, the name of their folder."""
        return self.folder.name

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Identity whose digest is the key.

        Raises:
            InputError: the file of the identity is missing, damaged or belongs to another key.
        """
        path = self.folder / IDENTITY
        identity = read_json(path)
        if (key := fingerprint(identity)[:KEY_LENGTH]) != self.key:
            raise InputError(f"{shown(path)}: found the identity of {key}, allowed: that of {self.key}")
        return identity

    @property
    def name(self) -> str:
        """Names of the two folders above that of the key: problem and parameters."""
        return f"{self.folder.parents[1].name}/{self.folder.parent.name}"

    @cached_property
    def metrics(self) -> list[Path]:
        """Paths of all metrics files."""
        return [path for folder in seed_folders(self.folder) for path in metrics_files(folder)]

    @cached_property
    def seeds(self) -> list[int]:
        """Seeds with a folder, finished or not."""
        return sorted(set(seed_folders(self.folder).values()))

    @property
    def changed_code(self) -> list[str]:
        """Modules whose code has changed since the runs."""
        code = self.identity["code"]
        now = sources.science(PROBLEMS[self.identity["problem"]].entry, *(name for name in code if "/" not in name))
        return sorted(name for name in code.keys() | now.keys() if code.get(name) != now.get(name))

    @property
    def changed_since(self) -> str:
        """Modules and libraries that have changed since the runs, as text."""
        try:
            versions = sorted(changed_since(read_about(self.metrics[0]))) if self.metrics else []
            return ", ".join([*self.changed_code, *versions]) or "nothing"
        except InputError as error:
            return f"unknown: {error}"

    @property
    def lengths(self) -> list[int]:
        """Lengths of the finished runs."""
        return sorted({length for folder in seed_folders(self.folder) for length in metrics_files(folder).values()})

    @property
    def state(self) -> str:
        """Number of seeds per state: finished at some length, interrupted, running or empty."""
        counts: Counter[str] = Counter()
        for folder in seed_folders(self.folder):
            if is_locked(folder):
                counts["running"] += 1
            elif metrics_files(folder):
                counts["finished"] += 1
            elif (folder / CHECKPOINT).exists():
                counts["interrupted"] += 1
            else:
                counts["empty"] += 1
        return ", ".join(f"{n} {state}" for state, n in counts.items())

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(found.st_size for found in self._stats() if stat.S_ISREG(found.st_mode))

    @property
    def changed(self) -> float:
        """Time of the last change to a file, in seconds since the epoch."""
        return max((found.st_mtime for found in self._stats()), default=self.folder.stat().st_mtime)

    def _stats(self) -> Iterator[os.stat_result]:
        for path in self.folder.rglob("*"):
            with suppress(FileNotFoundError):  # a running job replaces its checkpoint
                yield path.stat()


def wanted_figures(results: Path) -> list[tuple[Figure, Conditions]]:
    """Return every figure and sweep at every scale, for each kind of device and source of images in the results.

    Raises:
        InputError: a configuration file is invalid.
    """
    scales = sorted(path.stem for path in (CONFIG / "scales").glob("*.yaml"))
    figures = [load_collected(name, scale) for scale in scales for name in [*figure_names(), *sweep_names(scale)]]
    conditions = {configured().conditions}
    for group in groups(results):
        with suppress(InputError):
            images = {"source": "glyphs", "seed": 0, **(group.identity["images"] or {})}
            conditions.add(Conditions(ImageSource(images["source"], images["seed"]), group.identity["device"]))
    return [(figure, one) for figure in figures for one in conditions]


def wanted_keys(results: Path) -> dict[str, set[str]]:
    """Return {key: names of the figures that use its runs}."""
    keys: dict[str, set[str]] = {}
    for figure, conditions in wanted_figures(results):
        for panel in figure.curve_panels.values():
            for source in panel.run_curves.values():
                run = first_run(source.problem, source.config, figure.scale, source.setting, conditions)
                keys.setdefault(run.key, set()).add(figure.name)
    return keys


def groups(results: Path) -> list[Group]:
    """Return all runs in a results folder, grouped by key."""
    folders = (folder for problem in PROBLEMS for folder in sorted(results.glob(f"{problem}/*/*")))
    return [Group(folder) for folder in folders if re.fullmatch(f"[0-9a-f]{{{KEY_LENGTH}}}", folder.name)]


def find(name: str, results: Path) -> Group:
    """Return the runs that a key, a prefix of a key, or a path specifies.

    Raises:
        InputError: no key or more than one matches.
    """
    path = Path(name).absolute()
    there = groups(results)
    found = [group for group in there if group.folder.absolute() in (path, *path.parents)]
    found = found or [group for group in there if group.key.startswith(name)]
    if len(found) != 1:
        keys = ", ".join(group.key for group in found) or "none"
        raise InputError(f"run: found {name!r}, which names {keys}; allowed: a key in {shown(results)}, or a path")
    return found[0]


def rows(found: Iterable[Group], figures: dict[str, set[str]]) -> list[tuple[str, ...]]:
    """Return one row of cells per group, with the columns of `HEAD`."""
    return [
        (
            group.name,
            group.key,
            ranges(group.seeds),
            ", ".join(f"{length:,}" for length in group.lengths) or "-",
            group.state,
            size_text(group.size),
            duration(time.time() - group.changed),
            group.changed_since,
            ", ".join(sorted(figures.get(group.key, ()))) or "nothing",
        )
        for group in found
    ]


def describe(group: Group, figures: dict[str, set[str]]) -> list[str]:
    """Return all information about the runs of a group as lines of text."""
    lines = [
        f"{shown(group.folder)}",
        f"wanted by: {', '.join(sorted(figures.get(group.key, ()))) or 'nothing'}",
        f"size: {size_text(group.size)}",
        json.dumps({key: value for key, value in group.identity.items() if key != "code"}, indent=1, sort_keys=True),
        "code: " + ", ".join(f"{module} {digest[:8]}" for module, digest in sorted(group.identity["code"].items())),
    ]
    for path in group.metrics:
        about = read_about(path)
        changed = "".join(f", {name} {then} (now {now})" for name, (then, now) in changed_since(about).items())
        lines.append(
            f"{path.parent.name}: {about['horizon']:,}, {duration(about['seconds'])}, "
            f"resumed {about['resumed']} times, ended {about['ended']} on {about['machine']['node']}{changed}"
        )
    lines += [
        f"{folder.name}: interrupted, no metrics yet"
        for folder in seed_folders(group.folder)
        if (folder / CHECKPOINT).exists() and not metrics_files(folder)
    ]
    return lines


def compare(first: Group, second: Group) -> list[str]:
    """Return the differences between two groups as lines of text."""
    found = differences(first.identity, second.identity)
    lines = [f"{name}: {one!r}, {other!r}" for name, (one, other) in found.facts.items()]
    lines += [f"code: {module}" for module in found.modules]
    versions = [read_about(group.metrics[0])["versions"] if group.metrics else {} for group in (first, second)]
    for name in sorted(versions[0].keys() & versions[1].keys()):
        if versions[0][name] != versions[1][name]:
            lines.append(f"version of {name}: {versions[0][name]}, {versions[1][name]}")
    return lines or ["no difference"]


def unwanted(results: Path) -> list[Path]:
    """Return the run folders and tables that no figure uses and no process is working on."""
    keys = wanted_keys(results)
    runs = [group for group in groups(results) if group.key not in keys]
    free = [group.folder for group in runs if not any(map(is_locked, seed_folders(group.folder)))]
    tables = set(results.glob("tables/*/*.parquet"))
    drawn = {table.parent.name for table in tables}
    for figure, conditions in wanted_figures(results):
        if figure.name in drawn:
            tables.discard(results / table_path(figure, shown_runs(figure, conditions)))
    return free + sorted(tables)


def remove(path: Path) -> bool:
    """Delete a run folder or a table unless a process is using it; return whether it was deleted."""
    if path.is_dir():
        with ExitStack() as locks:
            if not all([locks.enter_context(try_lock(folder)) for folder in seed_folders(path)]):
                return False
            shutil.rmtree(path)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()
    else:
        remove_leftovers(path.parent, path.name)
        path.with_suffix(".log").unlink(missing_ok=True)
        path.unlink()
    return True


def size_text(size: float) -> str:
    """Format a number of bytes with three significant digits and a unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:  # from there on, three digits show as 1e+03
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def main(argv: Sequence[str] | None = None) -> None:
    """Execute a command of `python -m lop.runs`; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        results = options.results
        if options.command == "compare":
            print("\n".join(compare(find(options.first, results), find(options.second, results))))
            return
        if options.command == "show":
            print("\n".join(describe(find(options.run, results), wanted_keys(results))))
        elif options.command == "remove":
            _remove(unwanted(results), options.delete)
        elif options.command == "watch":
            _watch(options)
        else:
            table = [HEAD, *rows(groups(results), wanted_keys(results))]
            widths = [max(len(row[column]) for row in table) for column in range(len(HEAD))]
            for row in table:
                print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _watch(options: argparse.Namespace) -> None:
    with suppress(KeyboardInterrupt):
        watch(options.figures, options.scale, conditions_of(options), options.results, options.every, once=options.once)


def _remove(paths: Sequence[Path], delete: bool) -> None:
    total = 0
    for path in paths:
        size = Group(path).size if path.is_dir() else path.stat().st_size
        kept = delete and not remove(path)
        total += 0 if kept else size
        print(f"{size_text(size):>8}  {shown(path)}" + ("  kept: in use by a process" if kept else ""))
    print(
        f"{len(paths)} entries, {size_text(total)}: "
        + ("deleted" if delete else "nothing deleted; --delete deletes them")
    )


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.runs", description=__doc__)
    results = PROJECT / configured().results
    parser.add_argument("--results", type=Path, default=results, help="folder of all results (default: %(default)s)")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.add_parser("list", help="list all runs (default)")
    show = commands.add_parser("show", help="show all information about one run")
    show.add_argument("run", metavar="RUN")
    comparison = commands.add_parser("compare", help="show the differences between two runs")
    comparison.add_argument("first", metavar="RUN")
    comparison.add_argument("second", metavar="RUN")
    removal = commands.add_parser("remove", help="list or delete the runs and tables that no figure uses")
    removal.add_argument("--delete", action="store_true", help="delete them")
    watching = commands.add_parser(
        "watch", help="show the runs under way, or those of figures, until they are finished"
    )
    watching.add_argument(
        "figures", nargs="*", metavar="FIGURE", help="figures and sweeps (default: all runs under way)"
    )
    watching.add_argument(
        "--every", type=positive, default=2.0, metavar="S", help="seconds between updates (default 2)"
    )
    watching.add_argument("--once", action="store_true", help="print the state once")
    add_conditions(watching)
    return parser
