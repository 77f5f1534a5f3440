"""The command line of every plots/*.py: draw a figure into the current folder from the runs that there are."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from lop.errors import InputError
from lop.figures.collect import as_configured, check_run, collect
from lop.figures.draw import draw
from lop.figures.registry import Figure, RunFile, load_figure
from lop.paths import CONFIG, RESULTS, ROOT
from lop.runs.parameters import read_mapping

EXIT_BAD_INPUT = 2


def main(name: str, argv: Sequence[str] | None = None) -> None:
    """Draw the figure of that name, and tell which runs it is made of; ends with status 2 and one line if it cannot be."""
    try:
        options = _parser(name).parse_args(argv)
        figure = load_figure(name, options.scale)
        wanted = list({run.path: run for panel in figure.panels for run in figure.runs(panel)}.values())
        found = [run for run in wanted if (options.results / run.path).exists()]
        if not found:
            folder = options.results / options.scale
            raise InputError(f"no runs of {name} in {folder}; {_command(figure, options.results)} makes them")
        print("\n".join(account(wanted, found, options.results)))
        if len(found) < len(wanted):
            print(f"{_command(figure, options.results)} makes those that are missing")
        print("wrote", *draw(collect(figure, options.results, skip_missing=True), figure, Path()))
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(EXIT_BAD_INPUT) from None


def account(wanted: Sequence[RunFile], found: Sequence[RunFile], results: Path) -> list[str]:
    """Lines that tell which runs are used and which are missing, curve by curve, and which are out of date."""
    lines = [f"{len(found)} of {len(wanted)} runs in {results}:"]
    for name, runs in groupby(wanted, lambda run: run.name):
        seeds = {True: [], False: []}
        for run in runs:
            seeds[run in found].append(run.seed)
        used = f"seed {ranges(seeds[True])}" if seeds[True] else "none"
        lines.append(f"  {name}: {used}" + (f"; missing: {ranges(seeds[False])}" if seeds[False] else ""))
    return lines + [f"used, but out of date: {reason}" for run in found if (reason := _out_of_date(run, results))]


def ranges(numbers: Iterable[int]) -> str:
    """`0-3, 7` for 0, 1, 2, 3, 7."""
    runs = [[n for _, n in run] for _, run in groupby(enumerate(sorted(numbers)), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)


def _out_of_date(run: RunFile, results: Path) -> str:
    """In what a run differs from what the configuration says now, or nothing."""
    try:
        check_run(results / run.path, as_configured(run))
    except InputError as error:
        return str(error)
    return ""


def _command(figure: Figure, results: Path) -> str:
    changed = f" results={results}" if results != _configured()["results"] else ""
    return f"`snakemake figures/{figure.name}.pdf --cores all --config scale={figure.scale}{changed}` in {ROOT}"


def _parser(name: str) -> argparse.ArgumentParser:
    default = _configured()
    parser = argparse.ArgumentParser(
        description=f"Draw {name} into the current folder from the runs that there are: {name}.pdf, .png and .csv."
    )
    parser.add_argument("--scale", default=default["scale"], help="of the runs (default: %(default)s)")
    parser.add_argument(
        "--results", type=Path, default=default["results"], help="folder of all runs (default: %(default)s)"
    )
    return parser


def _configured() -> dict[str, Any]:
    """Scale and results folder of config/config.yaml, if it is there and says so."""
    path = CONFIG / "config.yaml"
    config = read_mapping(path) if path.is_file() else {}
    return {"scale": config.get("scale", "laptop"), "results": ROOT / config.get("results", RESULTS)}
