"""The table of claims, as CSV with all numbers and as Markdown for reading."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lop.claims.basis import setting_of
from lop.claims.registry import load_claims
from lop.claims.verdict import Verdict, judge
from lop.common.files import atomic_file
from lop.data.sets import ImageSource
from lop.figures.collect import collect
from lop.figures.registry import Figure
from lop.figures.runs import shown_runs
from lop.runs.spec import Conditions

ESTIMATES = ("difference", "iqm", "improvement")
HEAD = ("figure", "claim", "paper", "ours", "difference", "interquartile mean", "higher in", "seeds", "verdict")


def judged(figure: Figure, collected: pd.DataFrame, images: ImageSource) -> pd.DataFrame:
    """Return the verdicts on all claims about a figure.

    Args:
        figure: definition of the figure.
        collected: table from `lop.figures.collect.collect`, possibly with runs missing.
        images: source of the images that the runs used.

    Returns:
        One row per claim, with the fields of `Verdict` as columns; pairs and estimates are split into several.
    """
    verdicts = [
        judge(claim, collected, figure, place, setting_of(figure, place, images))
        for place, claim in load_claims(figure.name)
    ]
    return pd.DataFrame(map(_flat, verdicts))


def judged_by_runs(figure: Figure, results: Path, conditions: Conditions) -> pd.DataFrame:
    """Return the verdicts on the claims about a figure from its existing runs; empty if there are no runs."""
    found = [run for run in shown_runs(figure, conditions) if (results / run.spec.path).is_file()]
    return judged(figure, collect(figure, found, results), conditions.images) if found else pd.DataFrame()


def write(table: pd.DataFrame, csv: Path, markdown: Path | None = None) -> None:
    """Write the table as CSV and, if given, as Markdown, each atomically."""
    with atomic_file(csv) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")
    if markdown:
        with atomic_file(markdown) as temporary:
            temporary.write_text(as_markdown(table))


def as_markdown(table: pd.DataFrame) -> str:
    """Return the table as Markdown, followed by the number of verdicts of each kind and a legend."""
    lines = [_line(HEAD), _line(["---"] * len(HEAD))]
    lines += [_line([*cells(row), _verdict(row)]) for _, row in table.iterrows()]
    counts = ", ".join(f"{n} {verdict}" for verdict, n in table["verdict"].value_counts().items())
    return "\n".join([*lines, "", f"{len(table)} claims: {counts}.", "", *LEGEND, ""])


LEGEND = (
    "Values are in the units of the figure's axis. Paper, ours: the two sides of the claim. Difference: mean over",
    "seeds of the paired differences, with its 95% interval (Student's t), which decides the verdict. Interquartile",
    "mean: that of the same differences, with a bootstrap interval. Higher in: probability in percent that the first",
    "side in one run is higher than the second side in another, with a bootstrap interval.",
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
    ]


def _verdict(row: pd.Series) -> str:
    return f"**{row['verdict']}**" + (f": {row['why']}" if row["why"] else "")


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
