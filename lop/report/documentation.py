"""Update the pictures and tables of the documentation from the published results (`lop.runs.published`).

    python -m lop.report.documentation           # rewrite the pictures and tables
    python -m lop.report.documentation --check   # only list outdated files; exit status 1 if any

From the collected table published/<scale>/<figure>.parquet, this module draws docs/<figure>_<scale>.png with the
current definition of the figure, if a page shows it, and writes the tables between

    <!-- numbers: <figure> <scale> -->      mean of every curve in its first and last bin
    <!-- verdicts: <figure> <scale> -->     every claim about the figure, the paper's values, ours, and the verdict
    <!-- claims: <scale> <scale> ... -->    number of verdicts of each kind per figure and scale
    <!-- summary: <scale> -->               number of verdicts of each kind at a scale, as a sentence
    <!-- figures:begin -->                  these numbers in the last column

and `<!-- end -->` in README.md, docs/*.md and the README files of the problems. It needs neither runs nor a network.
For figures that show images, it creates the built-in ones first.
"""

import argparse
import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from string import ascii_lowercase

import pandas as pd

from lop.claims.registry import claimed_figures
from lop.claims.table import HEAD, cells, judged_tables, number, summary
from lop.claims.verdict import CONTRADICTED, NOT_REPRODUCED, REPRODUCED, UNDECIDED
from lop.common.arguments import Parser
from lop.common.errors import InputError, told_in_one_line
from lop.common.files import atomic_file
from lop.common.paths import ROOT, shown
from lop.common.sources import fingerprint
from lop.data.prepare import prepare
from lop.data.sets import ImageSource
from lop.figures.collect import read_collected
from lop.figures.draw import draw, plotted_numbers, stored_texts
from lop.figures.plotting import step_unit
from lop.figures.registry import Figure, load_figure, read_registry
from lop.figures.runs import all_have_paper_parameters
from lop.runs.configured import conditions

PAGES = ("README.md", "docs/*.md", "lop/*/README.md")
VERDICTS = (REPRODUCED, CONTRADICTED, NOT_REPRODUCED, UNDECIDED)
ROWS = re.compile(r"<!-- figures:begin -->.*?<!-- figures:end -->", re.S)
BLOCK = re.compile(r"(<!-- (numbers|verdicts|claims|summary): ([^>]*\w[^>]*?) -->\n).*?(<!-- end -->)", re.S)


def main(argv: Sequence[str] | None = None) -> None:
    """Update or check the documentation; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        outdated = list(outdated_files(ROOT)) if options.check else renew(ROOT)
        if options.check:
            for path in outdated:
                print(f"{shown(path)}: out of date; `make docs-numbers` updates it")
            raise SystemExit(bool(outdated))
        print(", ".join(map(shown, outdated)) or "everything is up to date")


def outdated_files(root: Path) -> Iterator[Path]:
    """Yield the pictures and pages that `renew` would change."""
    yield from map(picture_of, _outdated_pictures(root))
    for page, _ in _outdated_pages(root):
        yield page


def renew(root: Path) -> list[Path]:
    """Draw the pictures and rewrite the pages that are out of date, and return their paths."""
    drawn = list(_outdated_pictures(root))
    for table in drawn:
        _draw(table)
    rewritten = dict(_outdated_pages(root))
    for page, text in rewritten.items():
        with atomic_file(page) as temporary:
            temporary.write_text(text, "utf-8")
    return [*map(picture_of, drawn), *rewritten]


def _outdated_pictures(root: Path) -> Iterator[Path]:
    """Yield the tables whose pictures are out of date."""
    for table in shown_tables(root):
        if stored_texts(picture_of(table)).get("Table") != _source(table):
            yield table


def _outdated_pages(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the pages that are out of date, with their new text."""
    for page in pages(root):
        text = page.read_text("utf-8")
        if (new := renewed(text, root)) != text:
            yield page, new


def _draw(table: Path) -> None:
    """Draw the picture of a table."""
    figure = figure_of(table)
    images, key = images_at(figure.scale), _source(table)
    for picture in figure.pictures:
        if picture.data:
            prepare(picture.data, images, picture.classes)
    with tempfile.TemporaryDirectory() as folder:
        of_paper = all_have_paper_parameters(figure, images)
        _, png, _ = draw(read_collected(table), figure, Path(folder), images, table=key, paper_parameters=of_paper)
        with atomic_file(picture_of(table)) as temporary:
            shutil.copyfile(png, temporary)


def images_at(scale: str) -> ImageSource:
    """Return the source of the images from which the published runs at a scale learn."""
    return conditions(scale, "cpu", None, 0).images


def tables(root: Path) -> list[Path]:
    """Return the published tables."""
    return sorted(root.glob("published/*/*.parquet"))


def shown_tables(root: Path) -> list[Path]:
    """Return the collected tables whose pictures are on a page."""
    text = "".join(page.read_text("utf-8") for page in pages(root))
    return [table for table in tables(root) if picture_of(table).name in text]


def pages(root: Path) -> list[Path]:
    """Return the pages that may contain generated tables."""
    return sorted(path for pattern in PAGES for path in root.glob(pattern))


def picture_of(table: Path) -> Path:
    """Return the path of the picture drawn from a table."""
    return table.parents[2] / "docs" / f"{table.stem}_{table.parent.name}.png"


def figure_of(table: Path) -> Figure:
    """Return the current definition of the figure of a table, at its scale."""
    return load_figure(table.stem, table.parent.name)


def renewed(text: str, root: Path) -> str:
    """Return the text of a page with all generated tables updated."""
    judged_at = cache(partial(claims, root))

    def block(match: re.Match[str]) -> str:
        start, kind, what, end = match.groups()
        *_, scale = names = what.split()
        if kind == "numbers":
            new = _markdown(numbers(root, names[0], scale))
        elif kind == "verdicts":
            new = _markdown(verdicts(judged_at(scale), names[0]))
        elif kind == "summary":
            new = summary(judged_at(scale))
        else:
            judged = {scale: judged_at(scale) for scale in names}
            totals = [f"- At `{scale}`, {summary(table)}" for scale, table in judged.items()]
            new = "\n".join([_markdown(counts(judged)), "", *totals])
        return f"{start}{new}\n{end}"

    return ROWS.sub(lambda rows: _with_verdicts(rows[0], judged_at("laptop")), BLOCK.sub(block, text))


def numbers(root: Path, name: str, scale: str) -> pd.DataFrame:
    """Return the mean and interval of every curve of a figure in its first and last bin.

    Raises:
        InputError: there is no table of the figure at that scale.
    """
    table = root / "published" / scale / f"{name}.parquet"
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
    """Return the verdicts on all claims about published figures at a scale, from `lop.claims.table.joined`."""
    return judged_tables(root / "published" / scale, scale, images_at(scale))


def counts(judged: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return the number of verdicts of each kind per figure and scale, as text, from {scale: table of `claims`}."""

    def cell(table: pd.DataFrame, figure: str) -> str:
        found = table["verdict"][table["figure"] == figure].value_counts()
        return ", ".join(f"{found[verdict]} {verdict}" for verdict in VERDICTS if verdict in found)

    rows = {figure: [cell(table, figure) for table in judged.values()] for figure in claimed_figures()}
    shown_rows = [[f"`{figure}`", *cells] for figure, cells in rows.items() if any(cells)]
    return pd.DataFrame(shown_rows, columns=["figure", *judged])


def verdicts(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the verdicts on the claims about a figure and its panels, as text, from the table of `claims`."""
    rows = [dict(zip(HEAD, cells(row), strict=False)) | {"verdict": row["verdict"]} for _, row in table.iterrows()]
    chosen = [text for text, figure in zip(rows, table["figure"], strict=True) if figure in _parts(name)]
    return pd.DataFrame(chosen, columns=["claim", "paper", "ours", "difference", "seeds", "verdict"])


def _parts(name: str) -> set[str]:
    """Return the names of a figure and of the figures that are its panels."""
    return {name, *(one for one in read_registry().figures.get(name, {}).get("panels", []) if isinstance(one, str))}


def _with_verdicts(rows: str, found: pd.DataFrame) -> str:
    """Return rows of a table of figures with the numbers of verdicts, found by `claims`, in their last cells."""
    claimed = set(claimed_figures())

    def cell(row: re.Match[str]) -> str:
        parts = _parts(row[2])
        numbers = found["verdict"][found["figure"].isin(parts)].value_counts()
        if not claimed & parts:
            return row[0]
        text = ", ".join(str(numbers.get(verdict, 0)) for verdict in VERDICTS) if len(numbers) else "not tested"
        return f"{row[1]}| {text} |"

    return re.sub(r"^(\| `(\w+)` .*)\|[^|]*\|$", cell, rows, flags=re.M)


def _interval(row: pd.Series) -> str:
    interval = "" if pd.isna(row["low"]) else f" [{number(row['low'])}, {number(row['high'])}]"
    return f"{number(row['mean'])}{interval}"


def _steps(step: int, unit: str) -> str:
    size, _, suffix = step_unit(int(step))
    return f"{step / size:,.6g}{suffix} {unit.removesuffix('s') if step == 1 else unit}"


def _markdown(rows: pd.DataFrame) -> str:
    lines = [list(map(str, rows.columns)), ["---"] * len(rows.columns), *rows.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _source(table: Path) -> str:
    """Return a digest of a table and of the definition of its figure.

    They determine the picture except for the drawing code: after a change of that, delete the pictures to renew them.
    """
    content = hashlib.sha256(table.read_bytes()).hexdigest()
    return fingerprint([content, figure_of(table).model_dump(mode="json")])[:16]


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m lop.report.documentation",
        description=__doc__,
    )
    parser.add_argument("--check", action="store_true", help="only list outdated files")
    return parser


if __name__ == "__main__":
    main()
