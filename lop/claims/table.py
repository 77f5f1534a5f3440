"""The table of claims, as CSV with all numbers and as Markdown for reading."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lop.claims.basis import setting_of
from lop.claims.registry import claimed_figures, load_claims
from lop.claims.statistics import CONFIDENCE, holm
from lop.claims.verdict import CONTRADICTED, REPRODUCED, Verdict, judge
from lop.common.files import atomic_file
from lop.data.sets import ImageSource
from lop.figures.collect import collect, read_collected
from lop.figures.registry import Figure, load_figure
from lop.figures.runs import shown_runs
from lop.runs.published import stored
from lop.runs.spec import Conditions

ESTIMATES = ("difference", "iqm", "improvement")
HEAD = ("figure", "claim", "paper", "ours", "difference", "interquartile mean", "higher in", "seeds", "p", "verdict")


def judged(figure: Figure, collected: pd.DataFrame, images: ImageSource) -> pd.DataFrame:
    """Return the verdicts on all claims about a figure.

    Args:
        figure: definition of the figure.
        collected: table from `lop.figures.collect.collect`, possibly with runs missing.
        images: source of the images that the runs used.

    Returns:
        One row per claim, with the fields of `Verdict` as columns; pairs and estimates are split into several columns.
    """
    verdicts = [
        judge(claim, collected, figure, place, setting_of(figure, place, images))
        for place, claim in load_claims(figure.name)
    ]
    return pd.DataFrame(map(_flat, verdicts))


def judged_tables(folder: Path, scale: str, images: ImageSource) -> pd.DataFrame:
    """Return the verdicts on the claims about all figures with a collected table in a folder, `<figure>.parquet`."""
    found = {name: folder / f"{name}.parquet" for name in claimed_figures()}
    return joined(
        judged(load_figure(name, scale), read_collected(table), images)
        for name, table in found.items()
        if table.is_file()
    )


def judged_by_runs(figure: Figure, results: Path, conditions: Conditions) -> pd.DataFrame:
    """Return the verdicts on the claims about a figure from its existing runs; empty if it has runs but none exists."""
    runs = shown_runs(figure, conditions)
    found = [run for run in runs if stored(run.spec.path, results).is_file()]
    if runs and not found:
        return pd.DataFrame()
    return judged(figure, collect(figure, found, results), conditions.images)


def joined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Return the verdicts for several figures, with a column `p_holm`: p-values corrected for the number of tests."""
    found = [table for table in tables if len(table)]
    table = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=["figure", "verdict", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(np.float64)))


def summary(table: pd.DataFrame) -> str:
    """Return the numbers of verdicts and of tests, and what remains after the correction, as sentences."""
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items()) or "none tested"
    sure = table[table["p_holm"] < 1 - CONFIDENCE]["verdict"].value_counts()
    remaining = " and ".join(f"{sure.get(verdict, 0)} {verdict}" for verdict in (REPRODUCED, CONTRADICTED))
    tested = table["p"].notna().sum()
    return f"{len(table)} claims: {counts}. After Holm's correction for the {tested} tests made, {remaining} remain."


def write(table: pd.DataFrame, csv: Path, markdown: Path | None = None) -> None:
    """Write the table of `joined` as CSV and, if given, as Markdown, each atomically."""
    with atomic_file(csv) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    if markdown:
        with atomic_file(markdown) as temporary:
            temporary.write_text(as_markdown(table), "utf-8")


def as_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown, followed by the number of verdicts of each kind and a legend."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line([*cells(row), _verdict(row)]) for _, row in table.iterrows()]
    return "\n".join([*lines, "", summary(table), "", *LEGEND, ""])


LEGEND = (
    "Values are in the units of the figure's axis. Paper, ours: the two sides of the claim. Difference: mean over",
    "seeds of the paired differences, with its 95% interval (Student's t), which decides the verdict. Interquartile",
    "mean: that of the same differences, with a bootstrap interval. Higher in: probability in per cent that the first",
    "side in one run is higher than the second side in another, with a bootstrap interval. p: p-value of the t-test,",
    "and after Holm's correction for the number of tests.",
    "",
    "A claim is reproduced if the interval lies on the claimed side, contradicted if it lies on the other, and",
    "undecided otherwise, at the scale given with the figure. For a claim that two values are alike, the interval must",
    "lie within a tolerance, or outside it. Not reproduced, with the paper's own parameters only: the difference has",
    "less than half of the paper's size.",
)


def _flat(verdict: Verdict) -> dict[str, Any]:
    row = verdict._asdict()
    first, second = row.pop("paper") or (None, None)
    row = {**row, "paper_first": first, "paper_second": second}
    for name in ESTIMATES:
        row[name], row[f"{name}_low"], row[f"{name}_high"] = row[name]
    return row


def cells(row: pd.Series) -> list[str]:
    """Return the cells of a row under `HEAD`, except the verdict."""
    where = ", ".join(filter(None, (row["scale"], row["images"])))
    return [
        f"{row['figure']} ({where})",
        row["claim"],
        _against(row["paper_first"], row["paper_second"]),
        _against(row["first"], row["second"]),
        _with_interval(row, "difference"),
        _with_interval(row, "iqm"),
        _with_interval(row, "improvement", 100),
        str(row["n"]),
        "" if pd.isna(row["p"]) else f"{number(row['p'])} ({number(row['p_holm'])})",
    ]


def _verdict(row: pd.Series) -> str:
    where = "with the paper's parameters" if row["paper_parameters"] else f"at {row['scale']} scale"
    return f"**{row['verdict']}** {where}" + (f": {row['why']}" if row["why"] else "")


def _against(first: Any, second: Any) -> str:
    return "" if pd.isna(first) else f"{number(first)}, {number(second)}"


def _with_interval(row: pd.Series, name: str, factor: float = 1) -> str:
    value, low, high = (factor * row[key] for key in (name, f"{name}_low", f"{name}_high"))
    if pd.isna(value):
        return ""
    return number(value) + ("" if pd.isna(low) else f" [{number(low)}, {number(high)}]")


def number(value: float) -> str:
    """Format a number with three significant digits, or as an integer from 100 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
