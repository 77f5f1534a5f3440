"""Appearance of panels: functions that draw tidy statistics on axes, without reading files or computing statistics."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from lop.figures.registry import Method, Panel, Picture

STYLE = Path(__file__).with_name("lop.mplstyle")
LINES: dict[str, tuple[float, ...]] = {  # dash pattern: on and off lengths in line widths
    "solid": (),
    "dashed": (4, 1.6),
    "dashdot": (6, 1.6, 1.2, 1.6),
    "dotted": (1.2, 1.4),
    "long_dashed": (9, 2),
    "dashdotdot": (6, 1.6, 1.2, 1.6, 1.2, 1.6),
}
MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle": "^",
    "diamond": "D",
    "down": "v",
    "cross": "X",
    "plus": "P",
}
MARKERS_A_CURVE = 8
BAND_OPACITY = 0.16
DENSE = 1_000  # a logarithmic axis that spans less than this factor has ticks at 1, 2 and 5, not only at 1
ROOM = 1.015  # space right of the last step, so that its markers are not clipped


def plot_panel(
    statistics: pd.DataFrame,
    ax: Axes,
    panel: Panel,
    methods: Mapping[str, Method],
    note: str = "",
    title: str = "",
    seeds: pd.DataFrame | None = None,
) -> None:
    """Draw the curves of a panel with their bands, labels and title, but no legend.

    Args:
        statistics: columns curve (a key of methods), step, mean, low, high; see `statistics.summarise`.
        ax: empty axes.
        panel: labels and limits of the axes.
        methods: label, colour, line style and marker of each curve.
        note: scale, seeds and steps, in small type above the axes on the right.
        title: title above the axes on the left.
        seeds: columns curve, seed, step, value: values of single seeds, drawn as thin lines.
    """
    if seeds is not None:
        for (curve, _), rows in seeds[~seeds["curve"].isin(panel.levels)].groupby(["curve", "seed"], sort=False):
            ax.plot(rows["step"], rows["value"], color=methods[str(curve)].colour, linewidth=0.5, alpha=0.6, zorder=2)
    for place, (curve, rows) in enumerate(statistics.groupby("curve", sort=False)):
        if panel.draw == "steps":  # extend the first bin to its full width
            rows = pd.concat([rows[:1].assign(step=rows["step"].iloc[0] - panel.bin), rows], ignore_index=True)
        if curve in panel.levels:
            rows = pd.concat([rows.assign(step=0), rows], ignore_index=True)
        plot_curve(rows, ax, methods[str(curve)], place, panel.draw == "steps")
    ax.set(
        xlim=(0, ROOM * panel.to), yscale=panel.y_scale, ylim=_limits(panel, statistics, seeds), ylabel=panel.y_label
    )
    _count_steps(ax, panel)
    _format_values(ax)
    ax.set_title(title, loc="left", pad=14 * (1 + note.count("\n")))
    ax.annotate(
        note,
        (1, 1),
        (0, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontsize="small",
        color="0.35",
    )


def _limits(panel: Panel, statistics: pd.DataFrame, seeds: pd.DataFrame | None) -> tuple[float, float] | None:
    """Return the limits of the y axis, extended to all means and seeds; None if they are automatic."""
    if panel.y_limits is None:
        return None
    values = np.concatenate([statistics["mean"], [] if seeds is None else seeds["value"], panel.y_limits])
    values = values[np.isfinite(values)]
    return float(values.min()), float(values.max())


def plot_picture(ax: Axes, picture: Picture, images: Path | None, title: str = "") -> None:
    """Draw a picture on axes without ticks; `images` is the folder of the set that it shows, if any."""
    picture.draw(ax, images)
    ax.set_axis_off()
    ax.set_title(title, loc="left", pad=14)


def plot_curve(rows: pd.DataFrame, ax: Axes, method: Method, place: int = 0, steps: bool = False) -> None:
    """Draw the mean of one method as a line in front of its band.

    Args:
        rows: columns step, mean, low, high.
        ax: axes.
        method: label, colour, line style and marker.
        place: position among the curves; it shifts the markers so that those of different curves do not overlap.
        steps: whether to draw steps that end at each point.
    """
    finite = np.isfinite(rows["mean"])
    style: dict[str, Any] = {
        "label": method.label,
        "color": method.colour,
        "linestyle": (0, LINES[method.line]) if LINES[method.line] else "solid",
        "drawstyle": "steps-pre" if steps else "default",
        "marker": MARKERS[method.marker] if method.marker else None,
        "markevery": _marked(len(rows), place),
        "markeredgecolor": "white",
        "zorder": 3,
    }
    if finite.any():
        stretches = rows[finite].assign(stretch=(~finite).cumsum())  # a run that diverged leaves a gap in the line
        seaborn.lineplot(stretches, x="step", y="mean", units="stretch", estimator=None, ax=ax, legend=False, **style)
    else:
        ax.plot([], [], **style)  # only for the legend
    band = ax.fill_between(
        rows["step"],
        rows["low"],
        rows["high"],
        step="pre" if steps else None,
        color=method.colour,
        alpha=BAND_OPACITY,
    )
    band.set_linewidth(0)


def step_unit(last: int) -> tuple[int, str, str]:
    """Return the size, name and suffix of the unit in which an axis that ends at `last` counts steps."""
    if last >= 1_000_000:
        return 1_000_000, "millions", "M"
    return (1_000, "thousands", "k") if last >= 10_000 else (1, "", "")


def _marked(n: int, place: int) -> tuple[int, int]:
    """Return the first point with a marker and the distance to the next: about eight of n, shifted by the curve."""
    every = max(-(-n // MARKERS_A_CURVE), 1)
    return place % 4 * every // 4, every


def _count_steps(ax: Axes, panel: Panel) -> None:
    size, name, _ = step_unit(panel.to)
    ax.set_xlabel(f"{panel.x_label} ({name})" if name else panel.x_label)
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10], integer=size == 1))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step / size:,g}"))


def _format_values(ax: Axes) -> None:
    def text(value: float, _: int | None) -> str:
        return f"{value:,.0f}".replace("-", "\N{MINUS SIGN}")

    if ax.get_yscale() == "log":
        low, high = ax.get_ylim()
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < DENSE * low else (1,)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())
    elif max(map(abs, ax.get_ylim())) >= 1_000:
        ax.yaxis.set_major_formatter(FuncFormatter(text))
