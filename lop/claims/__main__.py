"""Test the paper's claims on the existing runs.

    python -m lop.claims                 # all figures with runs
    python -m lop.claims ed4a fig4a

`snakemake claims` executes missing runs first.
"""

import argparse
from collections.abc import Sequence

from lop.claims.registry import claimed_figures, expanded
from lop.claims.table import as_markdown, joined, judged_by_runs
from lop.common.arguments import Parser
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import shown
from lop.figures.registry import load_figure
from lop.runs.configured import add_options, conditions_of


def main(argv: Sequence[str] | None = None) -> None:
    """Print the verdicts as a Markdown table; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        claimed = claimed_figures()
        conditions = conditions_of(options)
        figures = [load_figure(name, options.scale) for name in expanded(options.figures, claimed) or claimed]
        tables = [judged_by_runs(figure, options.results, conditions) for figure in figures]
        found = joined(tables)
        if found.empty:
            raise InputError(
                f"no runs of these figures at {options.scale} scale in {shown(options.results)}; "
                "`snakemake claims` creates them"
            )
        print(as_markdown(found))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.claims", description=__doc__)
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="figures whose claims are tested (default: all)")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
