"""Tell which runs figures need, which are to be made and why, and how many hours of a core that takes.

    python -m lop.plan                            # all figures, at the configured scale
    python -m lop.plan fig4a ed4a --scale paper

Nothing is run. `snakemake plan --config scale=paper` tells the same.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from lop.configured import configured
from lop.data.sets import SOURCES, Images
from lop.errors import told_in_one_line
from lop.figures.registry import figure_names, load_figure
from lop.paths import shown
from lop.plan.costs import Estimate, estimate, read_records
from lop.plan.state import state
from lop.runs.spec import PROBLEMS, RunSpec, resolve

HEAD = ("figure", "runs", "ready", "to do", "core hours")


def main() -> None:
    with told_in_one_line():
        options = _parser().parse_args()
        images = Images(options.data_source, options.data_seed)
        specs = {name: _runs(name, options.scale, images) for name in options.figures or figure_names()}
        every = {path: spec for runs in specs.values() for path, spec in runs.items()}
        states = {path: state(spec, options.results) for path, spec in every.items()}
        records = read_records(options.results)
        todo = {path: estimate(every[path], records) for path, why in states.items() if why}
        print("\n".join(table(specs, states, todo)))
        print(*remarks(todo, options), sep="\n")


def table(
    specs: Mapping[str, Mapping[Path, RunSpec]], states: Mapping[Path, str], todo: Mapping[Path, Estimate]
) -> list[str]:
    """A line a figure, and one for all together, where runs that figures share count once."""
    groups = {name: list(runs) for name, runs in specs.items()}
    if len(groups) > 1:
        groups["all, each run once"] = list(states)
    rows = [HEAD, *(_row(name, paths, states, todo) for name, paths in groups.items())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def remarks(todo: Mapping[Path, Estimate], options: argparse.Namespace) -> Iterable[str]:
    """What hours are taken from, and how to have the runs."""
    if todo:
        bases = Counter(one.basis for one in todo.values())
        counts = ", ".join(f"{n} by {BASES[basis]}" for basis, n in bases.items())
        yield f"Core hours of {len(todo):,} runs: {counts}."
        yield "Divide them by the number of cores. Runs that several figures show are made once."
    yield f"scale {options.scale}, results in {shown(options.results)}; nothing was started"


BASES = {
    "same parameters": "runs on record here with their parameters",
    "same config": "runs of their config",
    "same problem": "runs of their problem, roughly",
    "model": "another machine (docs/costs.md), roughly",
}


def _row(name: str, paths: list[Path], states: Mapping[Path, str], todo: Mapping[Path, Estimate]) -> tuple[str, ...]:
    whys = Counter(states[path] for path in paths if states[path])
    waits = ", ".join(f"{n:,} {why}" for why, n in whys.items()) or "nothing"
    hours = sum(todo[path].seconds for path in paths if path in todo) / 3600
    return name, f"{len(paths):,}", f"{len(paths) - whys.total():,}", waits, hours_text(hours)


def hours_text(hours: float) -> str:
    """Two significant digits."""
    if hours != hours:
        return "unknown"
    return f"{hours:.2g}" if hours < 100 else f"{float(f'{hours:.2g}'):,.0f}"


def _runs(name: str, scale: str, images: Images) -> dict[Path, RunSpec]:
    """The runs of a figure, by their files."""
    figure = load_figure(name, scale)
    runs = {run.path: run for panel in figure.curve_panels.values() for run in figure.runs(panel)}
    return {
        path: resolve(PROBLEMS[run.problem], run.config, run.seed, run.scale, run.setting, images=images)
        for path, run in runs.items()
    }


def _parser() -> argparse.ArgumentParser:
    default = configured()
    parser = argparse.ArgumentParser(
        prog="python -m lop.plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("figures", nargs="*", metavar="FIGURE", help="(default: all)")
    add("--scale", default=default["scale"], help="of the runs (default: %(default)s)")
    add("--results", type=Path, default=default["results"], help="folder of all runs (default: %(default)s)")
    add("--data-source", choices=SOURCES, default=default["data"]["source"], help="(default: %(default)s)")
    add("--data-seed", type=int, default=int(default["data"]["seed"]), help="(default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
