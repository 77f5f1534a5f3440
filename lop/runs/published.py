"""Results that are shipped with the project in `published`.

    published/<scale>/index.json        figures with published tables: the keys of the tables, and how they were made
    published/<scale>/<figure>.parquet  collected table
    published/<scale>/<figure>.png      the figure, also as PDF and CSV
    published/<scale>/claims.csv        verdicts on the paper's claims
    published/runs                      metrics of their runs, in the layout of a results folder

`lop.report.publish` writes them.
"""

from functools import cache
from pathlib import Path

from pydantic import BaseModel

from lop.common.core_hours import cost_text
from lop.common.errors import InputError
from lop.common.files import read_json
from lop.common.paths import ROOT, shown
from lop.runs.parameters import Strict, checked

PUBLISHED = ROOT / "published"
RUNS = PUBLISHED / "runs"
CHEAP = 1.0  # core-hours up to which runs of a published figure are executed without asking


class Entry(Strict):
    """Entry of a figure in an index."""

    key: str  # of the collected table: a digest of the runs and of how they are collected
    collected: str  # digest of how the table is collected from the runs
    runs: list[str]  # metrics files below `RUNS`; empty if only the table is published
    version: str  # version and commit of the code
    made_by: str  # number of runs, core-hours, machines, versions and date, as text


class Table(Entry):
    """Published table of a figure."""

    path: Path


class _Index(BaseModel):
    tables: dict[str, Entry]


def stored(path: Path, results: Path) -> Path:
    """Return the file with the metrics of a run: in the results folder, or the published one if only that exists.

    Args:
        path: path of the metrics, relative to a results folder.
        results: folder of all results.
    """
    own, shipped = results / path, RUNS / path
    return shipped if shipped.is_file() and not own.is_file() else own


def read_index(path: Path) -> dict[str, Entry]:
    """Return {figure: entry} of an index; an empty one if the file does not exist.

    Raises:
        InputError: the index is not valid.
    """
    return checked(_Index, {"tables": read_json(path)}, shown(path)).tables


@cache
def published_tables(scale: str) -> dict[str, Table]:
    """Return {figure: published table} at a scale.

    Raises:
        InputError: the index is not valid.
    """
    folder = PUBLISHED / scale
    entries = read_index(folder / "index.json")
    return {name: Table(path=folder / f"{name}.parquet", **dict(entry)) for name, entry in entries.items()}


def table_to_draw(figure: str, scale: str, own: Path, choice: str, hours: float) -> Path:
    """Return the collected table from which a figure is drawn.

    Args:
        figure: name of the figure.
        scale: scale of its runs.
        own: path of the table in the results folder, which may not exist yet; its stem is the key.
        choice: what to do if the published table is not the current one: `train` the missing runs, `draw` the published
            table, or `ask`, which trains if that takes at most `CHEAP` core-hours, or if only the table is published.
        hours: core-hours of the current runs that exist neither in the results folder nor among the published ones; NaN
            if unknown.

    Raises:
        InputError: runs are missing, and `choice` is `ask` although they are expensive, or `draw` although the figure
            is not published.
    """
    table = published_tables(scale).get(figure)
    if own.is_file():
        return own
    if table is None:
        if choice == "draw" and hours:
            index = shown(PUBLISHED / scale / "index.json")
            raise InputError(f"published: found draw, allowed: ask, train: {figure} is not in {index}")
        return own
    if choice == "draw" or (table.runs and table.key == own.stem):
        return table.path
    if not table.runs or choice == "train" or hours <= CHEAP:
        return own
    raise InputError(
        f"published: found {choice}, allowed: train, which takes {cost_text(hours)} for the missing runs, or draw, "
        f"which shows what was published (with make: PUBLISHED=train or draw). {figure} at {scale} scale was published "
        "with other curves, seeds, parameters, code, images or device; `snakemake plan` with the same options lists "
        "these runs"
    )


def table_at(path: Path, scale: str) -> Table | None:
    """Return the published table with a path, or None if the path is that of another table."""
    return next((table for table in published_tables(scale).values() if table.path.resolve() == path.resolve()), None)
