"""Runs' metrics as one tidy table of bin means: per panel, curve, seed, layer and bin.

Runs are read one at a time, and of each only the rows of the metric: memory does not grow with the number of
runs, but for their bins.
"""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.data.sets import Images
from lop.figures.registry import Figure, Panel, RunFile
from lop.problems import first_run
from lop.runs.metrics import read_about, read_schema, read_table
from lop.runs.spec import fingerprint

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
Expected = Callable[[RunFile], Mapping[str, Any]]


def collect(
    figure: Figure,
    results: Path,
    expected: Expected | None = None,
    only: Collection[Path] | None = None,
) -> pd.DataFrame:
    """The collected table of a figure, rows in the order of panels, curves, seeds, layers and bins.

    Args:
        figure: what is collected.
        results: folder of all results.
        expected: what a run's metadata has to say, e.g. {"parameters": {...}}; its seed is always checked.
        only: the runs that are collected, by their files below `results`; all of them if none are named.

    Returns:
        Columns panel (from 0), curve, seed, layer (nullable), bin (right edge, in steps), value (of the
        bin), count (of values in the bin).

    Raises:
        InputError: a file is missing, damaged, of another layout, without the metric, or of another run.
    """
    tables = [COLLECTED.empty_table()]
    for index, panel in figure.curve_panels.items():
        for run in figure.runs(panel):
            if only is not None and run.path not in only:
                continue
            path = results / run.path
            difference = differs(path, {"seed": run.seed, **(expected(run) if expected else {})})
            if difference:
                command = f"`snakemake --cores 1 --force {shown(path)}`"
                raise InputError(f"{shown(path)}: {difference}; not the run that is wanted, which {command} makes")
            means = level(path, panel) if run.curve in panel.levels else bins(path, panel)
            tables.append(_labelled(means, index, run))
    return _frame(pa.concat_tables(tables))


def as_configured(run: RunFile, images: Images | None = None) -> dict[str, Any]:
    """What a run's metadata says if it was made with what the configuration and the code are now."""
    spec = first_run(run.problem, run.config, run.scale, run.setting, images).with_seed(run.seed)
    return {"parameters": spec.identity, "code_digest": spec.code_digest}


def keys_of_runs(figure: Figure, results: Path) -> dict[Path, str]:
    """The fingerprints of what made a figure's runs, as the files below `results` tell them."""
    return {path: str(read_about(results / path).get("key", "")) for path in figure.files()}


def digest_of_runs(keys: Mapping[Path, str]) -> str:
    """One for all runs of a figure: it differs if one of them is another, there or not."""
    return fingerprint({str(path): key for path, key in keys.items()})


def differs(path: Path, expected: Mapping[str, Any]) -> str:
    """The first point in which a metrics file's metadata is not as expected, in words; "" if there is none.

    InputError if the file is missing, damaged or of another layout.
    """
    found = read_about(path)
    differences = (_difference(key, found.get(key), value) for key, value in expected.items())
    return next(filter(None, differences), "")


def bins(path: Path, panel: Panel) -> pa.Table:
    """What a panel shows of a run, as `binned` gives it."""
    return binned(read_metric(path, panel, panel.to), panel.bin, panel.within)


def level(path: Path, panel: Panel) -> pa.Table:
    """The same where a curve is a level: all of the run is one bin, which ends with the panel."""
    rows = read_metric(path, panel)
    steps = pa.repeat(pa.scalar(panel.to, pa.int64()), len(rows))
    return binned(rows.set_column(rows.column_names.index("step"), "step", steps), panel.to)


def read_metric(path: Path, panel: Panel, to: int | None = None) -> pa.Table:
    """Columns step, layer, value of the panel's metric in its layers, if any; up to a last step, if one is given."""
    rows = pc.field("metric") == panel.metric
    if to is not None:
        rows &= pc.field("step") <= to
    if panel.layers is not None:
        rows &= pc.field("layer").isin(list(panel.layers))
    table = read_table(path, columns=["step", "layer", "value"], filters=rows)
    if not len(table):
        _check_metric(path, panel)
    return table


def binned(rows: pa.Table, width: int, within: str = "mean") -> pa.Table:
    """Mean, or largest, and number of values per layer and bin, the bins being (i * width, (i + 1) * width].

    Args:
        rows: columns step, layer, value.
        width: of a bin, in steps.
        within: mean or max.

    Returns:
        Columns layer, bin (right edge), value, count, by layer (null last) and bin; empty bins have no row.
    """
    bins = pc.multiply(pc.divide(pc.add(rows["step"], width - 1), width), width)
    grouped = rows.append_column("bin", bins).group_by(["layer", "bin"], use_threads=False)
    means = grouped.aggregate([("value", "mean"), ("value", "max"), ("value", "count")])
    if within == "max":  # which would pass over what is not a number
        largest = pc.if_else(pc.is_nan(means["value_mean"]), means["value_mean"], means["value_max"])
        means = means.set_column(means.column_names.index("value_mean"), "value_mean", largest)
    means = means.drop_columns(["value_max"])
    columns = means.rename_columns(["layer", "bin", "value", "count"])
    return columns.sort_by([("layer", "ascending"), ("bin", "ascending")])


def write_collected(table: pd.DataFrame, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a collected table as Parquet in one move, with a JSON document about it in its metadata."""
    metadata = {b"lop": json.dumps(about or {}, sort_keys=True).encode()}
    rows = pa.Table.from_pandas(table, COLLECTED, preserve_index=False).replace_schema_metadata(metadata)
    with atomic_file(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")


def read_about_collected(path: Path) -> dict[str, Any]:
    """What a collected table was made of: as `Figure.collected_from`, and `runs`, a digest; InputError if damaged."""
    return dict(json.loads((read_schema(path).metadata or {}).get(b"lop", b"{}")))


def read_collected(path: Path) -> pd.DataFrame:
    """A collected table from its file; InputError if the file is missing, damaged or another table."""
    schema = read_schema(path)
    if not schema.remove_metadata().equals(COLLECTED):
        found, allowed = ", ".join(schema.names), ", ".join(COLLECTED.names)
        raise InputError(f"{shown(path)}: columns: found {found}, allowed: {allowed}, as lop writes them")
    return _frame(read_table(path))


def _labelled(means: pa.Table, panel: int, run: RunFile) -> pa.Table:
    columns = {name: means[name] for name in means.column_names}
    for name, label in {"panel": panel, "curve": run.curve, "seed": run.seed}.items():
        columns[name] = pa.repeat(pa.scalar(label, COLLECTED.field(name).type), len(means))
    return pa.table(columns, schema=COLLECTED)


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper={pa.int16(): pd.Int16Dtype()}.get)


def _check_metric(path: Path, panel: Panel) -> None:
    metrics = read_table(path, columns=["metric"])["metric"].cast(pa.string())
    names = sorted(pc.unique(metrics).to_pylist())
    if panel.metric not in names:
        raise InputError(f"{shown(path)}: metric: found {', '.join(names) or 'none'}, wanted: {panel.metric}")


def _difference(key: str, found: Any, expected: Any) -> str:
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        names = {**expected, **found}
        points = (_difference(f"{key}.{name}", found.get(name), expected.get(name)) for name in names)
        return next(filter(None, points), "")
    return "" if found == expected else f"{key}: found {found!r}, expected {expected!r}"
