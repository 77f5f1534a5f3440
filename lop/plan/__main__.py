"""List the runs that figures and sweeps need, which of them are missing and why, and estimate their core-hours.

    python -m lop.plan                            # all figures and sweeps, at the configured scale
    python -m lop.plan fig4a ed4a --scale paper

No run is started. `snakemake plan --config scale=paper` prints the same for all figures.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path

from lop.common.arguments import Parser
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import shown
from lop.figures.registry import Figure, figure_names
from lop.figures.results_file import checked_files
from lop.figures.runs import by_path, shown_runs
from lop.figures.sweeps import load_collected, sweep_names
from lop.plan.costs import Estimate, estimate, read_records
from lop.plan.state import State, states
from lop.plan.table import bases_text, table
from lop.runs.configured import add_options, conditions_of
from lop.runs.provenance import changed_since


def main(argv: Sequence[str] | None = None) -> None:
    """Print the plan; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        conditions = conditions_of(options)
        names = options.figures or [*figure_names(), *sweep_names(options.scale)]
        figures = [load_collected(name, options.scale) for name in names]
        shown_ones = {figure.name: shown_runs(figure, conditions) for figure in figures}
        specs = {name: by_path(runs) for name, runs in shown_ones.items()}
        every = by_path(chain.from_iterable(shown_ones.values()))
        found = states(every.values(), options.results)
        records = read_records(options.results)
        todo = {path: estimate(every[path], records) for path, state in found.items() if state.why}
        print("\n".join(table(specs, {path: state.why for path, state in found.items()}, todo)))
        print(*remarks(todo, found.values(), options), *unusable(figures), sep="\n")


def unusable(figures: Iterable[Figure]) -> Iterator[str]:
    """Yield the reasons why figures cannot be drawn with their files of results."""
    for figure in figures:
        try:
            checked_files(figure)
        except InputError as error:
            yield f"cannot be drawn: {error}"


def remarks(todo: Mapping[Path, Estimate], found: Iterable[State], options: argparse.Namespace) -> Iterable[str]:
    """Yield lines about the basis of the estimates and about existing runs made with other versions of libraries."""
    if todo:
        yield bases_text(todo)
        yield "Divide them by the number of cores. A run that several figures show is executed once."
    changed = Counter(
        f"{name} {then}, now {now}" for state in found for name, (then, now) in changed_since(state.about).items()
    )
    for version, n in changed.items():
        yield f"{n:,} runs were made with another version: {version}"
    yield f"scale {options.scale}, results in {shown(options.results)}; nothing was started"


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.plan", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="figures and sweeps (default: all)")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
