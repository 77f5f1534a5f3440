"""The command line of every plots/*.py: draw a figure into the current folder, from what runs there are."""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import ROOT, shown
from lop.common.ranges import ranges
from lop.data.sets import Images, must_be_there
from lop.figures.collect import as_configured, collect, differs
from lop.figures.draw import draw
from lop.figures.registry import Figure, RunFile, load_figure
from lop.runs.configured import add_options, configured


def main(name: str, argv: Sequence[str] | None = None) -> None:
    """Draw the figure of that name and tell from which runs; one line and status 2 if that cannot be done."""
    with told_in_one_line():
        options = _parser(name).parse_args(argv)
        figure = load_figure(name, options.scale)
        wanted = list({run.path: run for panel in figure.curve_panels.values() for run in figure.runs(panel)}.values())
        found = [run for run in wanted if (options.results / run.path).exists()]
        if wanted and not found:
            folder = shown(options.results / options.scale)
            raise InputError(f"no runs of {name} in {folder}; {_command(figure, options.results)} makes them")
        if wanted:
            print("\n".join(account(wanted, found, options.results)))
        if len(found) < len(wanted):
            print(f"{_command(figure, options.results)} makes those that are missing")
        data = configured()["data"]
        for picture in figure.pictures:
            if picture.data:
                must_be_there(picture.data, Images(data["source"], data["seed"]), picture.classes, data["sets"])
        collected = collect(figure, options.results, only={run.path for run in found})
        print("wrote", *draw(collected, figure, Path(), data["sets"] / data["source"]))


def account(wanted: Sequence[RunFile], found: Sequence[RunFile], results: Path) -> list[str]:
    """Lines that tell, curve by curve, which runs are used and missing; then which are out of date."""
    lines = [f"{len(found)} of {len(wanted)} runs in {shown(results)}:"]
    for name, runs in groupby(wanted, lambda run: run.name):
        seeds = {run.seed: run in found for run in runs}
        used = ranges(seed for seed, there in seeds.items() if there)
        missing = ranges(seed for seed, there in seeds.items() if not there)
        parts = [f"seed {used}" if used else "none", f"missing: {missing}" if missing else ""]
        lines.append(f"  {name}: " + "; ".join(filter(None, parts)))
    return lines + out_of_date(found, results)


def out_of_date(found: Iterable[RunFile], results: Path) -> list[str]:
    """Lines that tell in what runs differ from what the configuration says now."""
    stale = Counter(f"{run.name}: {what}" for run in found if (what := differs(results / run.path, as_configured(run))))
    return [f"used, but out of date: {n} of {what}" for what, n in stale.items()]


def _command(figure: Figure, results: Path) -> str:
    options = f"scale={figure.scale}" + (f" results={results}" if results != configured()["results"] else "")
    return f"`snakemake figures/{figure.name}.pdf --cores all --config {options}` in {ROOT}"


def _parser(name: str) -> argparse.ArgumentParser:
    files = f"{name}.pdf, {name}.png and {name}.csv"
    parser = argparse.ArgumentParser(description=f"Draw {files} here, from the runs that there are.")
    add_options(parser)
    return parser
