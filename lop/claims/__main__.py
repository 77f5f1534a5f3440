"""Tell what the runs that there are say to the paper's claims.

    python -m lop.claims                 # all figures that have runs
    python -m lop.claims ed4a fig4a

`snakemake claims` makes the runs first.
"""

import argparse
import sys
from collections import Counter

import pandas as pd

from lop.claims.registry import claimed_figures
from lop.claims.table import as_markdown, judged_by_runs
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import shown
from lop.data.sets import Images
from lop.figures.registry import load_figure
from lop.plan.state import MISSING, why_not
from lop.plan.wanted import wanted_runs
from lop.runs.configured import add_options


def main() -> None:
    with told_in_one_line():
        options = _parser().parse_args()
        claimed = claimed_figures()
        for name in options.figures:
            if name not in claimed:
                raise InputError(f"figure: found {name!r}, allowed: {', '.join(claimed)}")
        images = Images(options.data_source, options.data_seed)
        tables = [_of_runs(name, options, images) for name in options.figures or claimed]
        found = [table for table in tables if len(table)]
        if not found:
            folder = shown(options.results / options.scale)
            raise InputError(f"no runs in {folder} as the configuration has them now; `snakemake claims` makes them")
        print(as_markdown(pd.concat(found)))


def _of_runs(name: str, options: argparse.Namespace, images: Images) -> pd.DataFrame:
    """The verdicts by those of a figure's runs that are there as they are wanted; none if there is no run."""
    runs = wanted_runs(name, options.scale, images).values()
    left_out = Counter((spec.name_of_all_seeds, why) for spec in runs if (why := why_not(spec, options.results)))
    for (setting, why), n in left_out.items():
        if why != MISSING:
            print(f"left out: {n} of {setting}, {why}", file=sys.stderr)
    return judged_by_runs(load_figure(name, options.scale), options.results, images)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lop.claims", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="(default: all)")
    add_options(parser, images=True)
    return parser


if __name__ == "__main__":
    main()
