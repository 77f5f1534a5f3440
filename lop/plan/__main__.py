"""Tell which runs figures need, which are to be made and why, and how many hours of a core that takes.

    python -m lop.plan                            # all figures, at the configured scale
    python -m lop.plan fig4a ed4a --scale paper

Nothing is run. `snakemake plan --config scale=paper` tells the same.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path

from lop.common.errors import told_in_one_line
from lop.common.paths import shown
from lop.data.sets import Images
from lop.figures.registry import figure_names
from lop.plan.costs import Estimate, estimate, read_records
from lop.plan.state import state
from lop.plan.table import bases_text, table
from lop.plan.wanted import wanted_runs
from lop.runs.configured import add_options


def main() -> None:
    with told_in_one_line():
        options = _parser().parse_args()
        images = Images(options.data_source, options.data_seed)
        specs = {name: wanted_runs(name, options.scale, images) for name in options.figures or figure_names()}
        every = {path: spec for runs in specs.values() for path, spec in runs.items()}
        states = {path: state(spec, options.results) for path, spec in every.items()}
        records = read_records(options.results)
        todo = {path: estimate(every[path], records) for path, why in states.items() if why}
        print("\n".join(table(specs, states, todo)))
        print(*remarks(todo, options), sep="\n")


def remarks(todo: Mapping[Path, Estimate], options: argparse.Namespace) -> Iterable[str]:
    """What hours are taken from, and how to have the runs."""
    if todo:
        yield bases_text(todo)
        yield "Divide them by the number of cores. Runs that several figures show are made once."
    yield f"scale {options.scale}, results in {shown(options.results)}; nothing was started"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lop.plan", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="(default: all)")
    add_options(parser, images=True)
    return parser


if __name__ == "__main__":
    main()
