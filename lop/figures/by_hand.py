"""Command line of the scripts lop/*/plots/*.py: draw a figure into the current folder, from the existing runs."""

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from lop.common.arguments import Parser
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import PROJECT, shown
from lop.common.ranges import ranges
from lop.figures.collect import collect
from lop.figures.draw import draw
from lop.figures.registry import Figure, load_figure
from lop.figures.runs import all_have_paper_parameters, by_path, shown_runs
from lop.runs.configured import add_options, conditions_of, configured
from lop.runs.published import stored
from lop.runs.spec import RunSpec


def main(name: str, argv: Sequence[str] | None = None) -> None:
    """Draw the named figure and list the runs used; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser(name).parse_args(argv)
        figure, conditions = load_figure(name, options.scale), conditions_of(options)
        runs = shown_runs(figure, conditions)
        found = [run for run in runs if stored(run.spec.path, options.results).exists()]
        command = _command(figure, options)
        if runs and not found:
            raise InputError(f"no runs of {name} in {shown(options.results)}; {command} creates them")
        if runs:
            print("\n".join(account(list(by_path(runs).values()), options.results)))
        if len(found) < len(runs):
            print(f"{command} creates the missing ones")
        data = PROJECT / configured().data.sets
        for picture in figure.pictures:
            if picture.data:
                conditions.images.must_exist(picture.data, picture.classes, data)
        of_paper = all_have_paper_parameters(figure, conditions.images)
        table = collect(figure, found, options.results)
        print("wrote", *draw(table, figure, Path(), conditions.images, data, paper_parameters=of_paper))


def account(wanted: Sequence[RunSpec], results: Path) -> list[str]:
    """Return lines that list the used and the missing runs of each setting."""
    found = {spec.path for spec in wanted if stored(spec.path, results).exists()}
    lines = [f"{len(found)} of {len(wanted)} runs in {shown(results)}:"]
    settings: dict[str, list[RunSpec]] = {}
    for spec in wanted:
        settings.setdefault(spec.name_of_all_seeds, []).append(spec)
    for name, specs in settings.items():
        used = ranges(spec.seed for spec in specs if spec.path in found)
        missing = ranges(spec.seed for spec in specs if spec.path not in found)
        parts = [f"seed {used}" if used else "none", f"missing: {missing}" if missing else ""]
        lines.append(f"  {name}: " + "; ".join(filter(None, parts)))
    return lines


def _command(figure: Figure, options: argparse.Namespace) -> str:
    """Return the command that executes the missing runs."""
    usual, results = configured(), options.results.absolute()
    given = {"scale": figure.scale}
    if results != PROJECT / usual.results:
        given["results"] = str(results)
    problems = {source.problem for panel in figure.curve_panels.values() for source in panel.run_curves.values()}
    on_gpu = problems & set(options.gpu_problems)
    device = options.device if on_gpu else "cpu"
    if device != usual.device:
        given["device"] = device
    if new := sorted(on_gpu - usual.runs_per_gpu.keys()) * (device != "cpu"):
        given["runs_per_gpu"] = f"{{{', '.join(f'{problem}: 1' for problem in new)}}}"
    images = {"source": options.data_source, "seed": options.data_seed}
    if changed := [f"{key}: {value}" for key, value in images.items() if value != getattr(usual.data, key)]:
        given["data"] = f"{{{', '.join(changed)}}}"
    config = shlex.join(f"{key}={value}" for key, value in given.items())
    return f"`snakemake figures/{figure.name}.pdf --cores all --config {config}` in {PROJECT}"


def _parser(name: str) -> argparse.ArgumentParser:
    files = f"{name}.pdf, {name}.png and {name}.csv"
    parser = Parser(description=f"Draw {files} into the current folder, from the existing runs.")
    add_options(parser)
    return parser
