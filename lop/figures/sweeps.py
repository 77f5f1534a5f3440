"""Sweeps: the scores of all settings of the methods in a comparison, and the choice of the best.

A comparison is defined under `tuning` in a scale file. Its sweep is collected like a figure with one panel per method,
and one curve per setting.
"""

from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

import matplotlib.figure
import matplotlib.style
import numpy as np
import pandas as pd
import yaml

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.figures.collect import read_collected
from lop.figures.plotting import STYLE
from lop.figures.registry import Figure, Panel, load_figure
from lop.problems import PROBLEMS
from lop.runs.parameters import at, checked
from lop.runs.scale import FIRST_TUNING_SEED, Comparison, load_scale, scale_path
from lop.runs.spec import layers, merged, settings

PREFIX = "tune_"  # begins the names of sweeps among the collected tables
COLUMNS = 3
HEAD = """\
# Values that `snakemake tune --config scale={scale}` has chosen; tuning/{scale} contains the scores of all settings.
# They override the cfg files and config/scales/{scale}.yaml.
"""


def sweep_names(scale: str) -> list[str]:
    """Return the names of the sweeps of a scale: `tune_<comparison>`."""
    return [PREFIX + name for name in load_scale(scale).file.tuning]


def load_collected(name: str, scale: str) -> Figure:
    """Return the definition of the figure or sweep that a collected table contains.

    Raises:
        InputError: there is no such figure or sweep, or it is invalid.
    """
    return load_sweep(name, scale) if name.startswith(PREFIX) else load_figure(name, scale)


def load_sweep(name: str, scale: str) -> Figure:
    """Return the sweep of a comparison as a figure with one panel per method and one curve per setting.

    Args:
        name: name of the sweep, `tune_<comparison>`.
        scale: name of the scale.

    Raises:
        InputError: the comparison does not exist or is invalid, or the size of a grid differs from the budget.
    """
    comparison_name = name.removeprefix(PREFIX)
    comparison = comparison_of(name, scale)
    where = f"{shown(scale_path(scale))}: tuning.{comparison_name}"
    _refuse_shared(scale, where)
    panels = []
    for runs in comparison.grids:
        problem, _, config = runs.partition("/")
        if problem not in PROBLEMS or config not in PROBLEMS[problem].configs():
            raise InputError(f"{where}.grids: found {runs!r}, allowed: <problem>/<config> of an existing cfg file")
        names = settings(PROBLEMS[problem], config, f"{scale}.{comparison_name}")
        if len(names) != comparison.budget:
            raise InputError(
                f"{where}.grids.{runs}: found {len(names)} settings, allowed: {comparison.budget}, the budget"
            )
        values = {
            "curves": {setting: {"runs": runs, "setting": setting} for setting in names},
            "seeds": list(range(FIRST_TUNING_SEED, FIRST_TUNING_SEED + comparison.seeds)),
            "metric": comparison.metric,
            "to": comparison.to,
            "bin": comparison.bin or comparison.to,
            "title": runs,
            "x_label": "",
            "y_label": comparison.metric,
        }
        panels.append(checked(Panel, values, where))
    return Figure(name=name, scale=f"{scale}.{comparison_name}", caption="", panels=tuple(panels), methods={})


def comparison_of(name: str, scale: str) -> Comparison:
    """Return the comparison of a sweep.

    Raises:
        InputError: the scale has no such comparison.
    """
    tuning = load_scale(scale).file.tuning
    if name.removeprefix(PREFIX) not in tuning:
        raise InputError(f"{shown(scale_path(scale))}: tuning: found no {name.removeprefix(PREFIX)!r}")
    return tuning[name.removeprefix(PREFIX)]


def _refuse_shared(scale: str, where: str) -> None:
    methods = [runs for comparison in load_scale(scale).file.tuning.values() for runs in comparison.grids]
    if shared := {runs for runs in methods if methods.count(runs) > 1}:
        raise InputError(f"{where}: found {', '.join(sorted(shared))} in two comparisons, allowed: one")


def scores(collected: pd.DataFrame, sweep: Figure, comparison: Comparison) -> pd.DataFrame:
    """Return the scores of all settings.

    Args:
        collected: table of the sweep.
        sweep: definition of the sweep.
        comparison: criterion.

    Returns:
        Columns runs, setting, seed, score (mean of the bins in the window); methods and settings in the order of the
        grids.
    """
    low, high = (round(fraction * comparison.to, 6) for fraction in comparison.window)
    width = comparison.bin or comparison.to
    inside = collected[(collected["bin"] > low) & (collected["bin"] - width < high)]
    means = inside.groupby(["panel", "curve", "seed"], sort=False)["value"].agg(
        lambda values: values.mean(skipna=False)
    )
    rows = []
    for place, panel in sweep.curve_panels.items():
        for setting, source in panel.run_curves.items():
            for seed in panel.seeds_of(setting):
                rows.append((source.runs, setting, seed, float(means.get((place, setting, seed), np.nan))))
    return pd.DataFrame(rows, columns=["runs", "setting", "seed", "score"])


def choose(scored: pd.DataFrame, best: str) -> dict[str, str]:
    """Return {<problem>/<config>: setting} with the best mean score; in a tie, the first.

    A setting with a score that is not finite, such as that of a run that diverged, is never chosen.

    Raises:
        InputError: a method has no setting with finite scores.
    """
    chosen = {}
    for runs, rows in scored.groupby("runs", sort=False):
        means = rows.groupby("setting", sort=False)["score"].agg(lambda values: values.mean(skipna=False))
        means = means[np.isfinite(means)]
        if means.empty:
            raise InputError(f"tuning: {runs}: found no setting whose scores are finite for all seeds")
        chosen[str(runs)] = str(means.idxmax() if best == "highest" else means.idxmin())
    return chosen


def chosen_values(chosen: dict[str, str], scale: str) -> dict[str, dict[str, Any]]:
    """Return {<problem>/<config>: {key: value}} for the chosen settings.

    Args:
        chosen: {<problem>/<config>: setting}.
        scale: scale of the tuning runs, `<scale>.<comparison>`.
    """
    found = {}
    for runs, setting in chosen.items():
        problem, _, config = runs.partition("/")
        point = settings(PROBLEMS[problem], config, scale)[setting]
        values = at(merged(layers(PROBLEMS[problem], config, scale)), point)
        found[runs] = {key: values[key] for key in load_scale(scale).grids[runs]}
    return found


def write_chosen(path: Path, scale: str, values: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Write the chosen values {comparison: {<problem>/<config>: {key: value}}} of a scale, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        text = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120)
        temporary.write_text(HEAD.format(scale=scale) + text, "utf-8")


def draw_sweep(scored: pd.DataFrame, chosen: dict[str, str], comparison: Comparison, files: Iterable[Path]) -> None:
    """Draw the scores of all settings: a panel per method, a point per seed, a line through the means.

    Args:
        scored: table from `scores`.
        chosen: settings from `choose`, which are marked.
        comparison: criterion.
        files: output files, each in the format of its suffix.
    """
    methods = list(scored.groupby("runs", sort=False))
    rows = ceil(len(methods) / COLUMNS)
    with matplotlib.style.context(STYLE, after_reset=True):
        page = matplotlib.figure.Figure(figsize=(2.6 * min(COLUMNS, len(methods)), 2.4 * rows), layout="constrained")
        axes = page.subplots(rows, min(COLUMNS, len(methods)), sharey=True, squeeze=False).flat
        for (runs, of_method), ax in zip(methods, axes, strict=False):
            names = list(dict.fromkeys(of_method["setting"]))
            places = of_method["setting"].map(names.index)
            means = of_method.groupby("setting", sort=False)["score"].mean()
            best = names.index(chosen[runs])
            ax.plot(range(len(names)), means, color="C0")
            ax.plot(places, of_method["score"], ".", color="C0", alpha=0.5, markersize=4)
            ax.plot([best], [means.iloc[best]], "o", color="C3", markersize=6)
            keys = [name.rpartition("=")[0] for name in names[0].split(",")]
            ax.set_xticks(
                range(len(names)), [", ".join(part.rpartition("=")[2] for part in name.split(",")) for name in names]
            )
            ax.tick_params(axis="x", rotation=45)
            ax.set(title=str(runs).partition("/")[2], xlabel=", ".join(keys))
        for ax in axes:  # those that remain
            ax.set_visible(False)
        page.supylabel(comparison.metric, fontsize="medium")
        for file in files:
            with atomic_file(file) as temporary:
                page.savefig(
                    temporary,
                    format=file.suffix[1:],
                    metadata={"CreationDate": None} if file.suffix == ".pdf" else None,
                )


def tune(tables: dict[str, Path], scale: str, folder: Path, tuned: Path) -> list[str]:
    """Choose the settings of all comparisons of a scale from their collected tables, and write all files.

    Args:
        tables: {name of the sweep: collected table}.
        scale: name of the scale.
        folder: folder of the scores and plots, <comparison>.csv, .pdf and .png.
        tuned: file of the chosen values.

    Returns:
        Lines that report the choices.
    """
    values, report = {}, []
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        comparison, sweep = comparison_of(name, scale), load_sweep(name, scale)
        scored = scores(read_collected(table), sweep, comparison)
        chosen = choose(scored, comparison.best)
        short = name.removeprefix(PREFIX)
        values[short] = chosen_values(chosen, sweep.scale)
        means = scored.groupby(["runs", "setting"])["score"].mean()
        report += [f"{short}: {runs}: {setting} ({means[runs, setting]:.4g})" for runs, setting in chosen.items()]
        marked = scored.assign(chosen=scored["setting"] == scored["runs"].map(chosen))
        with atomic_file(folder / f"{short}.csv") as temporary:
            marked.to_csv(temporary, index=False, lineterminator="\n")
        draw_sweep(scored, chosen, comparison, [folder / f"{short}.pdf", folder / f"{short}.png"])
    write_chosen(tuned, scale, values)
    return report
