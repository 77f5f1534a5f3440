"""The plan as a table: existing runs, remaining runs with reasons, and core-hours per figure."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from lop.common.core_hours import hours_text
from lop.plan.costs import Estimate
from lop.runs.spec import RunSpec

HEAD = ("figure", "runs", "ready", "to do", "core-hours")
BASES = {
    "same parameters": "recorded runs with the same parameters",
    "same config": "recorded runs of the same config",
    "same problem": "recorded runs of the same problem (rough)",
    "model": "measurements on another machine, docs/costs.md (rough)",
}


def rows(
    specs: Mapping[str, Mapping[Path, RunSpec]], states: Mapping[Path, str], todo: Mapping[Path, Estimate]
) -> list[tuple[str, ...]]:
    """Return the cells of the table.

    Args:
        specs: {figure: {path: run}}.
        states: {path: why the run remains to be done, "" if it exists}.
        todo: {path: estimate} of the runs that remain to be done.

    Returns:
        One row per figure with the columns of `HEAD`; with several figures, a last row counts shared runs once.
    """
    groups = {name: list(runs) for name, runs in specs.items()}
    if len(groups) > 1:
        groups["all, each run once"] = list(states)
    return [_row(name, paths, states, todo) for name, paths in groups.items()]


def table(
    specs: Mapping[str, Mapping[Path, RunSpec]], states: Mapping[Path, str], todo: Mapping[Path, Estimate]
) -> list[str]:
    """Return `rows` as aligned lines of text below a header."""
    lines = [HEAD, *rows(specs, states, todo)]
    widths = [max(len(row[column]) for row in lines) for column in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines]


def bases_text(todo: Mapping[Path, Estimate]) -> str:
    """Return a sentence about the basis of the estimates: `Core-hours of 12 runs, estimated from: ...`."""
    bases = Counter(one.basis for one in todo.values())
    counts = ", ".join(f"{BASES[basis]} ({n:,})" for basis, n in bases.items())
    return f"Core-hours of {len(todo):,} runs, estimated from: {counts}."


def _row(name: str, paths: list[Path], states: Mapping[Path, str], todo: Mapping[Path, Estimate]) -> tuple[str, ...]:
    whys = Counter(states[path] for path in paths if states[path])
    waits = ", ".join(f"{n:,} {why}" for why, n in whys.items()) or "nothing"
    hours = sum(todo[path].seconds for path in paths if path in todo) / 3600
    return name, f"{len(paths):,}", f"{len(paths) - whys.total():,}", waits, hours_text(hours)
