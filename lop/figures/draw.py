"""The one way from a collected table to a figure, for the workflow and by hand: <name>.pdf, <name>.png, <name>.csv."""

from collections.abc import Sequence
from math import ceil, sqrt
from pathlib import Path

import matplotlib.figure
import matplotlib.style
import pandas as pd

from lop.errors import InputError
from lop.figures.plotting import STYLE, plot_panel, step_unit
from lop.figures.registry import Figure, Panel
from lop.figures.statistics import summarise
from lop.files import atomic_file

BANDS = {"bootstrap": "95% bootstrap intervals", "standard_error": "standard errors"}
LEGEND_COLUMNS = 2


def draw(collected: pd.DataFrame, figure: Figure, folder: Path) -> list[Path]:
    """Draw a figure from its collected table; the same table and entry give the same bytes.

    Args:
        collected: as `lop.figures.collect.collect` gives it.
        figure: what is shown, and how.
        folder: where the three files go; each of them is whole or not there.

    Returns:
        The files: PDF, PNG, and the plotted numbers as CSV (columns of `plotted_numbers`).

    Raises:
        InputError: the table is of another figure, or empty.
    """
    numbers = plotted_numbers(collected, figure)
    notes = [conditions(rows, figure.scale, panel) for rows, panel in _by_panel(collected, figure)]
    pdf, png, csv = (folder / f"{figure.name}.{suffix}" for suffix in ("pdf", "png", "csv"))
    with matplotlib.style.context(STYLE, after_reset=True):
        page = _page(figure, numbers, notes)
        about = {"Title": figure.name}
        _save(page, pdf, about | {"Subject": figure.caption, "CreationDate": None})
        _save(page, png, about | {"Description": figure.caption, "Software": None})
    with atomic_file(csv) as temporary:
        shown = numbers if len(figure.panels) > 1 else numbers.drop(columns="panel")
        shown.to_csv(temporary, index=False, lineterminator="\n")
    return [pdf, png, csv]


def plotted_numbers(collected: pd.DataFrame, figure: Figure) -> pd.DataFrame:
    """Columns panel (from 0), curve, label, step, mean, low, high, n, curves in the order of the figure's entry."""
    labels = {curve: method.label for curve, method in figure.methods.items()}
    tables = [
        summarise(rows.assign(value=rows["value"] * panel.factor), panel.band).assign(panel=index)
        for index, (rows, panel) in enumerate(_by_panel(collected, figure))
    ]
    numbers = pd.concat(tables, ignore_index=True)
    numbers.insert(1, "label", numbers["curve"].map(labels))
    numbers.insert(0, "panel", numbers.pop("panel"))
    return numbers


def conditions(rows: pd.DataFrame, scale: str, panel: Panel) -> str:
    """Under what conditions a panel was made, e.g. `laptop scale, 3 seeds, 120k steps; bands: 95% bootstrap intervals`."""
    seeds = rows.groupby("curve")["seed"].nunique()
    size, _, suffix = step_unit(int(rows["bin"].max()))
    steps = f"{rows['bin'].max() / size:,.6g}{suffix} {panel.unit}"
    bands = f"; bands: {BANDS[panel.band]}" if seeds.max() > 1 else ""
    return f"{scale} scale, {_seeds(seeds.min(), seeds.max(), len(panel.seeds))}, {steps}{bands}"


def _seeds(fewest: int, most: int, wanted: int) -> str:
    """`3 seeds`, or `1-2 of 3 seeds` where some are missing."""
    found = f"{fewest}" if fewest == most else f"{fewest}-{most}"
    found = found if fewest == wanted else f"{found} of {wanted}"
    return f"{found} seed{'s' if wanted > 1 else ''}"


def _by_panel(collected: pd.DataFrame, figure: Figure) -> list[tuple[pd.DataFrame, Panel]]:
    """Each panel with its rows, in the order of its curves."""
    pairs = []
    for index, panel in enumerate(figure.panels):
        rows = collected[collected["panel"] == index]
        strange = [curve for curve in rows["curve"].unique() if curve not in panel.curves]
        if strange:
            raise InputError(f"collected table: curve: found {strange[0]!r}, allowed: {', '.join(panel.curves)}")
        if rows.empty:
            raise InputError(f"collected table: no values of {panel.metric!r} for {figure.name}: nothing to draw")
        order = rows["curve"].map({curve: place for place, curve in enumerate(panel.curves)})
        pairs.append((rows.loc[order.sort_values(kind="stable").index], panel))
    return pairs


def _page(figure: Figure, numbers: pd.DataFrame, notes: Sequence[str]) -> matplotlib.figure.Figure:
    """All panels in rows of about equal number, with one legend above them."""
    columns = ceil(sqrt(len(notes)))
    rows = ceil(len(notes) / columns)
    page = matplotlib.figure.Figure()
    width, height = page.get_size_inches()
    page.set_size_inches(width * columns, height * rows)
    grid = page.subplots(rows, columns, squeeze=False)
    for index, ax in enumerate(grid.flat):
        if index < len(notes):
            shown = numbers[numbers["panel"] == index]
            plot_panel(shown, ax, figure.panels[index], figure.methods, notes[index])
        else:
            ax.remove()
    _legend(page)
    return page


def _legend(page: matplotlib.figure.Figure) -> None:
    found = [pair for ax in page.axes for pair in zip(*ax.get_legend_handles_labels(), strict=True)]
    handles = {label: handle for handle, label in reversed(found)}
    labels = list(dict.fromkeys(label for _, label in found))
    page.legend([handles[label] for label in labels], labels, loc="outside upper center", ncols=LEGEND_COLUMNS)


def _save(page: matplotlib.figure.Figure, path: Path, metadata: dict[str, str | None]) -> None:
    with atomic_file(path) as temporary:
        page.savefig(temporary, format=path.suffix[1:], metadata=metadata)
