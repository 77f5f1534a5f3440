"""Collection of metrics into one tidy table with one row per panel, curve, seed, layer and bin.

Runs are read one at a time and only the rows of the required metric, so memory grows only with the number of bins.
"""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lop.common.errors import InputError
from lop.common.paths import shown
from lop.figures.registry import Figure, Panel
from lop.figures.results_file import read_results
from lop.figures.runs import Shown
from lop.runs.metrics import check_belongs
from lop.runs.published import stored
from lop.runs.tables import read_schema, read_table, write_table

COLLECTED = pa.schema(
    [
        ("panel", pa.int16()),
        ("curve", pa.string()),
        ("seed", pa.int64()),
        ("layer", pa.int16()),
        ("bin", pa.int64()),
        ("value", pa.float64()),
        ("count", pa.int64()),
    ]
)


def collect(figure: Figure, runs: Iterable[Shown], results: Path) -> pd.DataFrame:
    """Collect the table of a figure.

    Args:
        figure: definition of the figure.
        runs: runs of the figure, in the order of `lop.figures.runs.shown_runs`.
        results: folder of all results; runs that it lacks are read from the published ones.

    Returns:
        Columns panel (from 0), curve, seed, layer (nullable), bin (right edge, in steps), value (mean or maximum
        in the bin), count (number of values in the bin); rows in the order of runs, layers and bins, followed by those
        of files of results.

    Raises:
        InputError: a file is missing or damaged, has other columns, lacks the metric, belongs to another run, or does
            not fit the figure.
    """
    tables = [COLLECTED.empty_table()]
    for run in runs:
        path, panel = stored(run.spec.path, results), figure.curve_panels[run.panel]
        check_belongs(path, run.spec)
        rows = read_metric(path, panel, None if run.curve in panel.levels else panel.to)
        tables.append(_labelled(_means(rows, panel, run.curve), run.panel, run.curve, run.spec.seed))
    for place, panel in figure.curve_panels.items():
        for curve in panel.file_curves:
            for seed, rows in read_results(panel, curve).items():
                tables.append(_labelled(_means(rows, panel, curve), place, curve, seed))
    return _frame(pa.concat_tables(tables))


def _means(rows: pa.Table, panel: Panel, curve: str) -> pa.Table:
    """Return the bins of one seed that a panel shows.

    A curve with `level` has a single bin with the mean over all steps, which ends at the panel's last step.
    """
    if curve not in panel.levels:
        return binned(rows, panel.bin, panel.within)
    steps = pa.repeat(pa.scalar(panel.to, pa.int64()), len(rows))
    return binned(rows.set_column(rows.column_names.index("step"), "step", steps), panel.to)


def read_metric(path: Path, panel: Panel, to: int | None = None) -> pa.Table:
    """Return the rows of a panel's metric.

    Args:
        path: metrics file of the run.
        panel: its `metric`, and the `layers` to select if it names any.
        to: last step, inclusive; all steps if None.

    Returns:
        Columns step, layer, value.

    Raises:
        InputError: the run has no such metric, or the file has nulls.
    """
    table = read_table(path)
    _refuse_nulls(path, table)
    names = pc.unique(table["metric"].cast(pa.string())).to_pylist()
    if panel.metric not in names:
        raise InputError(f"{shown(path)}: metric: found {', '.join(sorted(names)) or 'none'}, allowed: {panel.metric}")
    rows = pc.equal(table["metric"].cast(pa.string()), panel.metric)
    if to is not None:
        rows = pc.and_(rows, pc.less_equal(table["step"], to))
    if panel.layers is not None:
        rows = pc.and_(rows, pc.is_in(table["layer"], pa.array(panel.layers, pa.int16())))
    return table.filter(rows).select(["step", "layer", "value"])


def binned(rows: pa.Table, width: int, within: str = "mean") -> pa.Table:
    """Aggregate values per layer and bin; bin i is (i * width, (i + 1) * width].

    Args:
        rows: columns step, layer, value.
        width: width of a bin in steps.
        within: aggregation, "mean" or "max".

    Returns:
        Columns layer, bin (right edge), value, count; sorted by layer (null last) and bin; empty bins have no row.
    """
    bins = pc.multiply(pc.divide(pc.add(rows["step"], width - 1), width), width)
    grouped = rows.append_column("bin", bins).group_by(["layer", "bin"], use_threads=False)
    means = grouped.aggregate([("value", "mean"), ("value", "max"), ("value", "count")])
    if within == "max":  # Arrow's `max` ignores NaN
        largest = pc.if_else(pc.is_nan(means["value_mean"]), means["value_mean"], means["value_max"])
        means = means.set_column(means.column_names.index("value_mean"), "value_mean", largest)
    means = means.drop_columns(["value_max"])
    columns = means.rename_columns(["layer", "bin", "value", "count"])
    return columns.sort_by([("layer", "ascending"), ("bin", "ascending")])


def write_collected(table: pd.DataFrame, path: Path) -> None:
    """Write a collected table as Parquet, atomically."""
    write_table(pa.Table.from_pandas(table, COLLECTED, preserve_index=False), path)


def read_collected(path: Path) -> pd.DataFrame:
    """Read a collected table.

    Raises:
        InputError: the file is missing or damaged, or has other columns or nulls.
    """
    schema = read_schema(path)
    if not schema.remove_metadata().equals(COLLECTED):
        found, allowed = ", ".join(schema.names), ", ".join(COLLECTED.names)
        raise InputError(f"{shown(path)}: columns: found {found}, allowed: {allowed}, as lop writes them")
    table = read_table(path)
    _refuse_nulls(path, table)
    return _frame(table)


def _refuse_nulls(path: Path, table: pa.Table) -> None:
    """Refuse nulls except for the layer of the whole network and, in collected tables, for NaN."""
    for name in table.column_names:
        if name not in ("layer", "value") and table[name].null_count:
            raise InputError(f"{shown(path)}: column `{name}`: found {table[name].null_count} nulls, allowed: none")


def _labelled(means: pa.Table, panel: int, curve: str, seed: int) -> pa.Table:
    columns = {name: means[name] for name in means.column_names}
    for name, label in {"panel": panel, "curve": curve, "seed": seed}.items():
        columns[name] = pa.repeat(pa.scalar(label, COLLECTED.field(name).type), len(means))
    return pa.table(columns, schema=COLLECTED)


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper={pa.int16(): pd.Int16Dtype()}.get)
