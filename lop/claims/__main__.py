"""Tell what the runs that there are say to the paper's claims.

    python -m lop.claims                 # all figures that have runs
    python -m lop.claims ed4a fig4a

`snakemake claims` makes the runs first.
"""

import argparse
import sys

import pandas as pd

from lop.claims.registry import claimed_figures
from lop.claims.table import as_markdown, judged_by_runs
from lop.configured import add_options, configured
from lop.data.sets import Images
from lop.errors import InputError, told_in_one_line
from lop.figures.by_hand import out_of_date
from lop.figures.registry import load_figure
from lop.paths import shown


def main() -> None:
    with told_in_one_line():
        options = _parser().parse_args()
        claimed = claimed_figures()
        for name in options.figures:
            if name not in claimed:
                raise InputError(f"figure: found {name!r}, allowed: {', '.join(claimed)}")
        data = configured()["data"]
        images = Images(data["source"], int(data["seed"]))
        tables = [_of_runs(name, options, images) for name in options.figures or claimed]
        found = [table for table in tables if len(table)]
        if not found:
            raise InputError(f"no runs in {shown(options.results / options.scale)}; `snakemake claims` makes them")
        print(as_markdown(pd.concat(found)))


def _of_runs(name: str, options: argparse.Namespace, images: Images) -> pd.DataFrame:
    """The verdicts by those of a figure's runs that are there; none if there is no run."""
    figure = load_figure(name, options.scale)
    runs = {run.path: run for panel in figure.curve_panels.values() for run in figure.runs(panel)}
    found = [run for run in runs.values() if (options.results / run.path).exists()]
    for line in out_of_date(found, options.results):
        print(line, file=sys.stderr)
    return judged_by_runs(figure, options.results, images)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lop.claims", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="(default: all)")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
