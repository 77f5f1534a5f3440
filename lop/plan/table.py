"""The plan as a table: by figure, runs that are there, runs that are to be made and why, and core hours."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from lop.plan.costs import Estimate
from lop.runs.spec import RunSpec

HEAD = ("figure", "runs", "ready", "to do", "core hours")
BASES = {
    "same parameters": "runs on record here with their parameters",
    "same config": "runs of their config",
    "same problem": "runs of their problem, roughly",
    "model": "another machine (docs/costs.md), roughly",
}


def rows(
    specs: Mapping[str, Mapping[Path, RunSpec]], states: Mapping[Path, str], todo: Mapping[Path, Estimate]
) -> list[tuple[str, ...]]:
    """A row a figure with the cells of `HEAD`, and one for all together, where runs that figures share count once."""
    groups = {name: list(runs) for name, runs in specs.items()}
    if len(groups) > 1:
        groups["all, each run once"] = list(states)
    return [_row(name, paths, states, todo) for name, paths in groups.items()]


def table(
    specs: Mapping[str, Mapping[Path, RunSpec]], states: Mapping[Path, str], todo: Mapping[Path, Estimate]
) -> list[str]:
    """The same as lines of text, below a line with the names of the columns."""
    lines = [HEAD, *rows(specs, states, todo)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines]


def bases_text(todo: Mapping[Path, Estimate]) -> str:
    """What the hours are taken from: `Core hours of 12 runs: 12 by runs of their config.`"""
    bases = Counter(one.basis for one in todo.values())
    counts = ", ".join(f"{n:,} by {BASES[basis]}" for basis, n in bases.items())
    return f"Core hours of {len(todo):,} runs: {counts}."


def hours_text(hours: float) -> str:
    """Two significant digits."""
    if hours != hours:
        return "unknown"
    return f"{hours:.2g}" if hours < 100 else f"{float(f'{hours:.2g}'):,.0f}"


def _row(name: str, paths: list[Path], states: Mapping[Path, str], todo: Mapping[Path, Estimate]) -> tuple[str, ...]:
    whys = Counter(states[path] for path in paths if states[path])
    waits = ", ".join(f"{n:,} {why}" for why, n in whys.items()) or "nothing"
    hours = sum(todo[path].seconds for path in paths if path in todo) / 3600
    return name, f"{len(paths):,}", f"{len(paths) - whys.total():,}", waits, hours_text(hours)
