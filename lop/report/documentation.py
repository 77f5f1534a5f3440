"""Update the pictures and tables of the documentation from the collected tables in docs/evidence.

    python -m lop.report.documentation                          # rewrite the pictures and tables
    python -m lop.report.documentation --add ed4a --scale laptop  # copy a collected table to docs/evidence first
    python -m lop.report.documentation --check                  # only list outdated files; exit status 1 if any

docs/evidence/<figure>_<scale>.parquet is a collected table of the workflow, with the values of every seed in every bin.
From it, this module draws docs/<figure>_<scale>.png with the current definition of the figure, if a page shows it, and
writes the tables between

    <!-- numbers: <figure> <scale> -->      mean of every curve in its first and last bin
    <!-- claims: <scale> -->                number of verdicts of each kind per figure
    <!-- figures:begin -->                  these numbers in the last column, reproduced, contradicted, undecided

and `<!-- end -->` in README.md, docs/*.md and the README files of the problems. It needs neither runs nor a network.
For figures that show images, it creates the built-in ones first.
"""

import argparse
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import ascii_lowercase

import pandas as pd
from PIL import Image

from lop.claims.registry import claimed_figures
from lop.claims.table import joined, judged, number
from lop.claims.verdict import CONTRADICTED, REPRODUCED, UNDECIDED
from lop.common.errors import InputError, told_in_one_line
from lop.common.files import atomic_file
from lop.common.paths import ROOT, shown
from lop.common.sources import fingerprint
from lop.data.prepare import prepare
from lop.data.sets import ImageSource
from lop.figures.collect import read_collected
from lop.figures.draw import draw, plotted_numbers
from lop.figures.plotting import step_unit
from lop.figures.registry import Figure, figure_names, load_figure, read_registry
from lop.figures.runs import is_published, shown_runs, table_path
from lop.runs.configured import add_options, conditions_of

PAGES = ("README.md", "docs/*.md", "lop/*/README.md")
VERDICTS = (REPRODUCED, CONTRADICTED, UNDECIDED)
ROWS = re.compile(r"<!-- figures:begin -->.*?<!-- figures:end -->", re.S)
BLOCK = re.compile(r"(<!-- (numbers|claims): ([^>]*?) -->\n).*?(<!-- end -->)", re.S)


def main(argv: Sequence[str] | None = None) -> None:
    """Update or check the documentation; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        for name in options.add:
            add(name, options)
        outdated = list(outdated_files(ROOT))
        if options.check:
            for path in outdated:
                print(f"{shown(path)}: out of date; `make docs-numbers` updates it")
            raise SystemExit(bool(outdated))
        renew(ROOT)
        print(", ".join(shown(path) for path in outdated) or "everything is up to date")


def add(name: str, options: argparse.Namespace) -> None:
    """Copy the collected table of a figure at a scale into docs/evidence.

    Raises:
        InputError: the figure does not exist, or its table has not been built.
    """
    if name not in figure_names():
        raise InputError(f"figure: found {name!r}, allowed: {', '.join(figure_names())}")
    figure = load_figure(name, options.scale)
    table = options.results / table_path(figure, shown_runs(figure, conditions_of(options)))
    if not table.is_file():
        raise InputError(f"{shown(table)}: no such file; `make figures/{name}.pdf SCALE={options.scale}` builds it")
    target = ROOT / "docs/evidence" / f"{name}_{options.scale}.parquet"
    target.parent.mkdir(exist_ok=True)
    with atomic_file(target) as temporary:
        shutil.copyfile(table, temporary)


def outdated_files(root: Path) -> Iterator[Path]:
    """Yield the pictures and pages that `renew` would change."""
    for table in shown_tables(root):
        if _source_of(picture_of(table)) != _source(table):
            yield picture_of(table)
    for page in pages(root):
        text = page.read_text("utf-8")
        if renewed(text, root) != text:
            yield page


def renew(root: Path) -> None:
    """Draw every picture that is out of date, and rewrite the tables of all pages."""
    for table in shown_tables(root):
        if _source_of(picture_of(table)) != _source(table):
            figure = figure_of(table)
            for picture in figure.pictures:
                if picture.data:
                    prepare(picture.data, ImageSource(), picture.classes)
            with tempfile.TemporaryDirectory() as folder:
                published = all(is_published(figure, place, ImageSource()) for place in figure.curve_panels)
                _, png, _ = draw(read_collected(table), figure, Path(folder), table=_source(table), published=published)
                with atomic_file(picture_of(table)) as temporary:
                    shutil.copyfile(png, temporary)
    for page in pages(root):
        text = page.read_text("utf-8")
        if renewed(text, root) != text:
            with atomic_file(page) as temporary:
                temporary.write_text(renewed(text, root), "utf-8")


def tables(root: Path) -> list[Path]:
    """Return the collected tables in docs/evidence."""
    return sorted(root.glob("docs/evidence/*.parquet"))


def shown_tables(root: Path) -> list[Path]:
    """Return the collected tables whose pictures are on a page."""
    text = "".join(page.read_text("utf-8") for page in pages(root))
    return [table for table in tables(root) if picture_of(table).name in text]


def pages(root: Path) -> list[Path]:
    """Return the pages that may contain generated tables."""
    return sorted(path for pattern in PAGES for path in root.glob(pattern))


def picture_of(table: Path) -> Path:
    """Return the path of the picture drawn from a table."""
    return table.parents[1] / f"{table.stem}.png"


def figure_of(table: Path) -> Figure:
    """Return the current definition of the figure that the name of a table specifies, at its scale."""
    name, _, scale = table.stem.rpartition("_")
    return load_figure(name, scale)


def renewed(text: str, root: Path) -> str:
    """Return the text of a page with all generated tables updated."""

    def block(match: re.Match[str]) -> str:
        start, kind, what, end = match.groups()
        rows = numbers(root, *what.split()) if kind == "numbers" else claims(root, what.strip())
        return f"{start}{_markdown(rows)}\n{end}"

    return ROWS.sub(lambda rows: _with_verdicts(rows[0], root), BLOCK.sub(block, text))


def numbers(root: Path, name: str, scale: str) -> pd.DataFrame:
    """Return the mean and interval of every curve of a figure in its first and last bin.

    Raises:
        InputError: there is no table of the figure at that scale.
    """
    table = root / "docs/evidence" / f"{name}_{scale}.parquet"
    if not table.is_file():
        raise InputError(f"{shown(table)}: no such file, but a page of the documentation refers to it")
    figure = figure_of(table)
    shown_numbers, rows = plotted_numbers(read_collected(table), figure), []
    for (place, _), curve in shown_numbers.groupby(["panel", "curve"], sort=False):
        panel = figure.curve_panels[place]
        first, last = curve.iloc[0], curve.iloc[-1]
        ends = [f"{_steps(one['step'], panel.unit)}: {_interval(one)}" for one in (first, last)]
        letter = {"panel": panel.title or ascii_lowercase[place]} if len(figure.panels) > 1 else {}
        rows.append(
            {**letter, "curve": first["label"], "seeds": f"{last['n']}", "first bin": ends[0], "last bin": ends[1]}
        )
    return pd.DataFrame(rows)


def claims(root: Path, scale: str) -> pd.DataFrame:
    """Return the number of verdicts of each kind for every figure with claims and a table at a scale."""
    verdicts = []
    for name in claimed_figures():
        table = root / "docs/evidence" / f"{name}_{scale}.parquet"
        if table.is_file():
            verdicts.append(judged(load_figure(name, scale), read_collected(table), ImageSource()))
    if not verdicts:
        return pd.DataFrame(columns=["figure", "verdict"])
    table = joined(verdicts)
    counts = table.groupby(["figure", "verdict"], sort=False).size().unstack(fill_value=0)
    counts.loc["all"] = counts.sum()
    return counts.reset_index()


def _with_verdicts(rows: str, root: Path) -> str:
    """Return rows of a table of figures with the verdicts in the last cell, for figures with tables at laptop scale."""
    counts, entries = claims(root, "laptop").set_index("figure"), read_registry().figures

    def cell(row: re.Match[str]) -> str:
        name = row[2]
        parts = {name, *(one for one in entries.get(name, {}).get("panels", []) if isinstance(one, str))}
        sums = counts.loc[counts.index.isin(parts)].sum()
        if not sums.any():
            return row[0]
        return f"{row[1]}| {', '.join(str(int(sums.get(verdict, 0))) for verdict in VERDICTS)} |"

    return re.sub(r"^(\| `(\w+)` .*)\|[^|]*\|$", cell, rows, flags=re.M)


def _interval(row: pd.Series) -> str:
    return f"{number(row['mean'])} [{number(row['low'])}, {number(row['high'])}]"


def _steps(step: int, unit: str) -> str:
    size, _, suffix = step_unit(int(step))
    return f"{step / size:,.6g}{suffix} {unit.removesuffix('s') if step == 1 else unit}"


def _markdown(rows: pd.DataFrame) -> str:
    lines = [list(map(str, rows.columns)), ["---"] * len(rows.columns), *rows.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _source(table: Path) -> str:
    """Return a digest of a table and of the definition of its figure, which determine the picture."""
    content = hashlib.sha256(table.read_bytes()).hexdigest()
    return fingerprint([content, figure_of(table).model_dump(mode="json")])[:16]


def _source_of(picture: Path) -> str:
    """Return the digest stored in a picture, or an empty string."""
    if not picture.is_file():
        return ""
    with Image.open(picture) as image:
        return str(image.info.get("Table", ""))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lop.report.documentation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--add", nargs="+", default=[], metavar="FIGURE", help="figures whose tables are copied to docs/evidence first"
    )
    parser.add_argument("--check", action="store_true", help="only list outdated files")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
