"""Build one self-contained HTML page with the figures, claims, costs and the provenance of every run.

    python -m lop.report                          # figures/report.html
    python -m lop.report fig4a ed4a --scale paper

No run is started and no figure is drawn; `make figures report` builds the figures first. `snakemake report` writes the
same page.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from lop.common.arguments import Parser
from lop.common.errors import told_in_one_line
from lop.common.files import atomic_file
from lop.common.paths import PROJECT, shown
from lop.report.gather import gather
from lop.report.page import page
from lop.runs.configured import add_options, conditions_of


def main(argv: Sequence[str] | None = None) -> None:
    """Write the page and print a summary; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        contents = gather(options.scale, options.results, options.figures, conditions_of(options), options.names)
        with atomic_file(options.output) as temporary:
            temporary.write_text(page(contents), encoding="utf-8")
        drawn = sum(bool(one.picture) for one in contents.figures)
        print(f"{shown(options.output)}: {drawn} of {len(contents.figures)} figures, {len(contents.claims)} claims")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.report", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", metavar="FIGURE", help="figures on the page (default: all)")
    add("--figures", type=Path, default=PROJECT / "figures", help="folder of the drawn figures (default: %(default)s)")
    add("--output", type=Path, default=PROJECT / "figures/report.html", help="file to write (default: %(default)s)")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
