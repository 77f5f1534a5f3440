"""Drawing of a figure from its collected table: PDF, PNG and the plotted numbers."""

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import matplotlib.figure
import matplotlib.style
import pandas as pd
from matplotlib.legend import Legend
from PIL import Image

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.data.sets import DATA, ImageSource
from lop.figures.plotting import STYLE, plot_panel, plot_picture, step_unit
from lop.figures.registry import Figure, Panel, Picture
from lop.figures.runs import appearances
from lop.figures.statistics import FEW, FEWEST, relative, seed_curves, summarise
from lop.runs.spec import Conditions

LEGEND_COLUMNS = 2
DIVERGED = 1e100  # matplotlib cannot draw axes up to the largest numbers, and their squares overflow


def draw(
    collected: pd.DataFrame,
    figure: Figure,
    folder: Path,
    images: ImageSource = ImageSource(),
    data: Path = DATA,
    table: str = "",
    paper_parameters: bool = False,
    remark: str = "",
) -> list[Path]:
    """Draw a figure from its collected table.

    The same table and definition give byte-identical files.

    Args:
        collected: table from `lop.figures.collect.collect`.
        figure: definition of the figure.
        folder: output folder; each file is written atomically.
        images: source of the images that pictures show.
        data: folder of all sets of images.
        table: key of the collected table, stored in the PNG's metadata.
        paper_parameters: whether the runs have the paper's parameters and images; the figure is labelled accordingly.
        remark: line above the label, such as the version of the code that made the runs.

    Returns:
        Paths of <name>.pdf, <name>.png, and <name>.csv with the plotted numbers (columns as in `plotted_numbers`,
        `panel` only if there are several panels).

    Raises:
        InputError: the table has a curve that the figure lacks, or no values for one of the panels.
    """
    numbers = plotted_numbers(collected, figure)
    seeds = {index: seed_curves(rows) for index, rows, _ in _by_panel(collected, figure)}
    notes = _notes(collected, figure)
    scale = "the paper's parameters" if paper_parameters else f"{figure.scale} scale"
    scale = f"{remark}\n{scale}" if remark else scale
    pdf, png, csv = (folder / f"{figure.name}.{suffix}" for suffix in ("pdf", "png", "csv"))
    with matplotlib.style.context(STYLE, after_reset=True):
        page = _page(figure, numbers, seeds, scale, notes, images, data)
        _save(page, pdf, {"Title": figure.name, "Subject": figure.caption, "CreationDate": None})
        about = {"Title": figure.name, "Description": figure.caption, "Scale": figure.scale, "Table": table}
        about |= {"Remark": remark} if remark else {}
        _save(page, png, about | {"Software": None})
    with atomic_file(csv) as temporary:
        shown = numbers if len(figure.panels) > 1 else numbers.drop(columns="panel")
        shown.to_csv(temporary, index=False, lineterminator="\n")
    return [pdf, png, csv]


def stored_texts(png: Path) -> dict[str, str]:
    """Return what `draw` has stored in a PNG: Title, Description, Scale, Table and, if there is one, Remark.

    The result is empty if there is no such file.
    """
    if not png.is_file():
        return {}
    with Image.open(png) as image:
        return {str(name): str(text) for name, text in image.info.items()}


def plotted_numbers(collected: pd.DataFrame, figure: Figure) -> pd.DataFrame:
    """Return the numbers that a figure shows.

    Args:
        collected: table from `lop.figures.collect.collect`.
        figure: definition of the figure.

    Returns:
        Columns panel (from 0), curve, label, step, mean, low, high, n; curves in the order of the definition.

    Raises:
        InputError: the table has a curve that the figure lacks, or no values for one of the panels.
    """
    tables = [summarise(rows).assign(panel=index) for index, rows, _ in _by_panel(collected, figure)]
    columns = ["panel", "curve", "label", "step", "mean", "low", "high", "n"]
    if not tables:
        return pd.DataFrame(columns=columns)
    numbers = pd.concat(tables, ignore_index=True)
    labels = {curve: method.label for curve, method in figure.methods.items()}
    numbers["label"] = numbers["curve"].map(labels)
    return numbers[columns]


def _notes(collected: pd.DataFrame, figure: Figure) -> dict[int, str]:
    """Return the note of each panel with curves, by its position.

    Panels may show different metrics of the same runs, not all of which are recorded in the last bin.
    """
    panels = _by_panel(collected, figure)

    def last_step(panel: Panel) -> int:
        of_same_runs = [(rows, one) for _, rows, one in panels if (one.curves, one.to) == (panel.curves, panel.to)]
        return max(_last_bin(rows, one) for rows, one in of_same_runs)

    return {index: note_of(rows, panel, last_step(panel)) for index, rows, panel in panels}


def _last_bin(rows: pd.DataFrame, panel: Panel) -> int:
    bins = rows.loc[~rows["curve"].isin(panel.levels), "bin"]
    return int(bins.max()) if len(bins) else panel.to


def note_of(rows: pd.DataFrame, panel: Panel, last: int) -> str:
    """Return the note of a panel: its own, and below it `3 seeds, 150k steps; bands: 95% intervals`.

    Args:
        rows: rows of the panel in the collected table.
        panel: definition of the panel, with the requested seeds and the unit of a step.
        last: number of steps of its runs.
    """
    seeds = rows.groupby("curve")["seed"].nunique()
    wanted = pd.Series({curve: len(panel.seeds_of(str(curve))) for curve in seeds.index})
    size, _, suffix = step_unit(last)
    steps = f"{last / size:,.6g}{suffix} {panel.unit}"
    thin = seeds.drop(index=list(panel.levels), errors="ignore").between(2, FEW - 1).any()
    drawn = {"thin lines: seeds": thin, "bands: 95% intervals": seeds.max() >= FEWEST}
    shown = "; " * any(drawn.values()) + ", ".join(text for text, is_drawn in drawn.items() if is_drawn)
    note = f"{panel.note}\n" if panel.note else ""
    return f"{note}{_seeds(seeds, wanted)}, {steps}{shown}"


def _seeds(found: pd.Series, wanted: pd.Series) -> str:
    """Return `3 seeds`, or `1-2 of 3 seeds` if some are missing, from the number of seeds of each curve."""
    shown = [found, wanted] if (found < wanted).any() else [found]
    return f"{' of '.join(map(_range, shown))} seed{'s' if shown[-1].max() > 1 else ''}"


def _range(numbers: pd.Series) -> str:
    return str(numbers.min()) if numbers.min() == numbers.max() else f"{numbers.min()}-{numbers.max()}"


def _by_panel(collected: pd.DataFrame, figure: Figure) -> list[tuple[int, pd.DataFrame, Panel]]:
    """Return (position, rows in the order of the curves, definition) of each panel with curves.

    Values are multiplied by the panel's factor. Those of runs that diverged beyond all axes are infinite.
    """
    return [
        (index, _scaled(_ordered(collected[collected["panel"] == index], panel, _where(figure, index)), panel), panel)
        for index, panel in figure.curve_panels.items()
    ]


def _where(figure: Figure, index: int) -> str:
    title = figure.panels[index].title or ascii_lowercase[index]
    return figure.name if len(figure.panels) == 1 else f"{figure.name}, panel {title}"


def _scaled(rows: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    values = rows["value"] * panel.factor
    return rows.assign(value=values.where(values.abs() < DIVERGED, math.inf))


def _ordered(rows: pd.DataFrame, panel: Panel, where: str) -> pd.DataFrame:
    if rows.empty:
        raise InputError(f"{where}: nothing to draw: no runs with values of `{panel.metric}` up to step {panel.to:,}")
    places = rows["curve"].map({curve: place for place, curve in enumerate(panel.curves)})
    if places.isna().any():
        found = rows["curve"][places.isna()].iloc[0]
        allowed = ", ".join(panel.curves)
        raise InputError(f"{where}: collected table: found curve {found!r}, allowed: {allowed}")
    rows = rows.loc[places.sort_values(kind="stable").index]
    if panel.relative_to is None:
        return rows
    paired = relative(rows, panel.relative_to)
    if paired.empty:
        raise InputError(f"{where}: nothing to draw: no runs of {panel.relative_to}, the curve of `relative_to`")
    return paired


def _page(
    figure: Figure,
    numbers: pd.DataFrame,
    seeds: Mapping[int, pd.DataFrame],
    scale: str,
    notes: Mapping[int, str],
    images: ImageSource = ImageSource(),
    data: Path = DATA,
) -> matplotlib.figure.Figure:
    """Lay out all panels on a near-square grid; text and legends that all panels share are above them."""
    columns = math.ceil(math.sqrt(len(figure.panels)))
    rows = math.ceil(len(figure.panels) / columns)
    page = matplotlib.figure.Figure()
    width, height = page.get_size_inches()
    page.set_size_inches(width * columns, height * rows)
    page.subplots(rows, columns)
    for ax in page.axes[len(figure.panels) :]:
        ax.remove()
    looks = appearances(figure, Conditions(images))
    alone, shared = len(figure.panels) == 1, len(set(notes.values())) == 1
    for index, (ax, panel) in enumerate(zip(page.axes, figure.panels, strict=True)):
        title = panel.title or ("" if alone else ascii_lowercase[index])
        if isinstance(panel, Picture):
            plot_picture(ax, panel, images.folder(panel.data, data) if panel.data else None, title)
            continue
        note = _with_scale(scale, notes[index]) if alone else "" if shared else notes[index]
        plot_panel(numbers[numbers["panel"] == index], ax, panel, looks[index], note, title, seeds[index])
    heading = "" if alone or not notes else _with_scale(scale, next(iter(notes.values()))) if shared else scale
    _legends(page, columns, heading)
    return page


def _with_scale(scale: str, note: str) -> str:
    return f"{scale}: {note}" if "\n" in note else f"{scale}, {note}"


def _legends(page: matplotlib.figure.Figure, columns: int, heading: str) -> None:
    """Add one legend if all panels show the same curves, else one below each that differs from the previous one.

    A legend below a panel is at most as wide as one of the page's columns.
    """
    entries = [dict(zip(*reversed(ax.get_legend_handles_labels()), strict=True)) for ax in page.axes]
    shown = [one for one in entries if one]
    looks = [{label: handle.get_color() for label, handle in one.items()} for one in entries]
    if shown and all(one == next(filter(None, looks)) for one in looks if one):
        _legend(page, shown[0], heading)
        return
    if heading:
        page.suptitle(heading, fontsize="small", color="0.35")
    for ax, before, look in zip(page.axes, [{}, *looks], looks, strict=False):
        if look and look != before:
            _fitting(partial(ax.legend, loc="upper center", bbox_to_anchor=(0.5, -0.2)), page.bbox.width / columns)


def _legend(page: matplotlib.figure.Figure, entries: Mapping[str, Any], heading: str) -> None:
    """Add a legend above all panels."""
    handles, labels = list(entries.values()), list(entries)
    make = partial(
        page.legend, handles, labels, loc="outside upper center", title=heading or None, title_fontsize="small"
    )
    _fitting(make, page.bbox.width).get_title().set(color="0.35", multialignment="center")


def _fitting(make: Callable[..., Legend], width: float) -> Legend:
    """Make a legend in as many columns, at most `LEGEND_COLUMNS`, as fit a width in pixels."""
    for columns in range(LEGEND_COLUMNS, 1, -1):
        legend = make(ncols=columns)
        if legend.get_window_extent().width <= width:
            return legend
        legend.remove()
    return make(ncols=1)


def _save(page: matplotlib.figure.Figure, path: Path, metadata: Mapping[str, Any]) -> None:
    with atomic_file(path) as temporary:
        page.savefig(temporary, format=path.suffix[1:], metadata=metadata)
