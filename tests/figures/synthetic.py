"""Small synthetic figures and their runs."""

from pathlib import Path

import pandas as pd
from written import write_run

from lop.figures.collect import collect
from lop.figures.registry import Figure
from lop.figures.runs import Shown, shown_runs
from lop.runs.spec import Conditions

METHODS = {
    "std": {"label": "Standard PPO", "colour": "C3", "line": "dashed", "marker": "square"},
    "cbp": {"label": "PPO + CBP + L2", "colour": "C0", "line": "solid"},
}
PANEL = {
    "curves": {"std": {"runs": "rl/ant/std"}, "cbp": {"runs": "rl/ant/cbp"}},
    "seeds": 3,
    "metric": "return",
    "to": 40,
    "bin": 10,
    "x_label": "Environment steps",
    "y_label": "Return per episode",
}


def figure(*panels: dict, scale: str = "laptop") -> Figure:
    """Return a figure with the panel PANEL, or with one panel per mapping of changes to it."""
    panels = tuple(PANEL | panel for panel in panels or ({},))
    return Figure(name="fig4a", scale=scale, caption="Returns.", panels=panels, methods=METHODS)


def runs_of(figure: Figure) -> list[Shown]:
    return shown_runs(figure, Conditions())


def collected(figure: Figure, results: Path) -> pd.DataFrame:
    return collect(figure, runs_of(figure), results)


def write_runs(results: Path, figure: Figure) -> None:
    """Write all runs of a figure, with returns that depend on curve, seed and step."""
    for run in runs_of(figure):
        panel = figure.panels[run.panel]
        high = 100.0 * list(panel.curves).index(run.curve)
        rows = [
            (panel.metric, step, None, high + 10.0 * run.spec.seed + step % 7 + step / 10)
            for step in range(5, panel.to + 1, max(5, panel.to // 100))
        ]
        write_run(results, run.spec, rows)
