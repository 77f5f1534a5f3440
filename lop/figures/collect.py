"""Runs' metrics as one tidy table of bin means: per panel, curve, seed, layer and bin.

Runs are read one at a time, and only the rows of the metric: memory does not grow with the number of runs or their length
beyond the bins.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lop.errors import InputError
from lop.figures.registry import Figure, Panel, RunFile
from lop.files import atomic_file
from lop.runs.spec import PROBLEMS, resolve

METRICS = {"step": pa.int64(), "layer": pa.int16(), "value": pa.float64()}
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
    figure: Figure, results: Path, expected: Expected | None = None, skip_missing: bool = False
) -> pd.DataFrame:
    """The collected table of a figure as a DataFrame, rows in the order of panels, curves, seeds, layers and bins.

    Args:
        figure: what is collected.
        results: folder of all results.
        expected: for a run, what the document in its metadata has to say, e.g. `as_configured`; the seed is checked always.
        skip_missing: leave out runs whose file is not there instead of refusing.

    Returns:
        Columns panel (from 0), curve, seed, layer (nullable), bin (right edge, in steps), value (mean in the bin), count.

    Raises:
        InputError: a file is missing, damaged, of another layout, without the metric, or not the run expected.
    """
    tables = [COLLECTED.empty_table()]
    for index, panel in enumerate(figure.panels):
        for run in figure.runs(panel):
            path = results / run.path
            if skip_missing and not path.exists():
                continue
            check_run(path, {"seed": run.seed, **(expected(run) if expected else {})})
            tables.append(_labelled(bin_means(read_metric(path, panel), panel.bin), index, run))
    return _frame(pa.concat_tables(tables))


def as_configured(run: RunFile) -> dict[str, Any]:
    """What a run's metadata says if it was made with the parameters that the configuration gives it now."""
    if run.problem not in PROBLEMS:
        raise InputError(f"{run.name}: problem: found {run.problem!r}, allowed: {', '.join(PROBLEMS)}")
    spec = resolve(PROBLEMS[run.problem], run.config, run.seed, run.scale, run.setting)
    return {"seed": run.seed, "parameters": spec.parameters.identity()}


def check_run(path: Path, expected: Mapping[str, Any]) -> None:
    """InputError unless the document in a metrics file's metadata agrees with all that is expected of it."""
    found = _about(path)
    for key, value in expected.items():
        difference = _difference(key, found.get(key), value)
        if difference:
            raise InputError(f"{path}: {difference}; not the run that is wanted: make it again")


def read_metric(path: Path, panel: Panel) -> pa.Table:
    """Columns step, layer, value of the panel's metric up to its last step, in the panel's layers if it names any."""
    rows = (pc.field("metric") == panel.metric) & (pc.field("step") <= panel.to)
    if panel.layers is not None:
        rows &= pc.field("layer").isin(list(panel.layers))
    try:
        table = pq.read_table(path, columns=list(METRICS), filters=rows, use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None
    if not len(table):
        _check_metric(path, panel)
    return table


def bin_means(rows: pa.Table, width: int) -> pa.Table:
    """Mean and number of values per layer and bin; the bin of a step is (i * width, (i + 1) * width], named by its end.

    Args:
        rows: columns step, layer, value.
        width: of a bin, in steps.

    Returns:
        Columns layer, bin, value, count, sorted by layer (null last) and bin. Bins without a value have no row.
    """
    bins = pc.multiply(pc.divide(pc.add(rows["step"], width - 1), width), width)
    grouped = rows.append_column("bin", bins).group_by(["layer", "bin"], use_threads=False)
    means = grouped.aggregate([("value", "mean"), ("value", "count")])
    return means.rename_columns(["layer", "bin", "value", "count"]).sort_by(
        [("layer", "ascending"), ("bin", "ascending")]
    )


def write_collected(table: pd.DataFrame, path: Path, about: Mapping[str, Any] | None = None) -> None:
    """Write a collected table as Parquet in one move, with a JSON document about it in its metadata."""
    metadata = {b"lop": json.dumps(about or {}, sort_keys=True).encode()}
    rows = pa.Table.from_pandas(table, COLLECTED, preserve_index=False).replace_schema_metadata(metadata)
    with atomic_file(path) as temporary:
        pq.write_table(rows, temporary, compression="zstd")


def read_collected(path: Path) -> pd.DataFrame:
    """A collected table from its file; InputError if the file is missing, damaged or another table."""
    schema = _schema(path)
    if not schema.remove_metadata().equals(COLLECTED):
        raise InputError(f"{path}: columns: found {', '.join(schema.names)}, allowed: {', '.join(COLLECTED.names)}")
    try:
        return _frame(pq.read_table(path))
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _labelled(means: pa.Table, panel: int, run: RunFile) -> pa.Table:
    labels = {"panel": panel, "curve": run.curve, "seed": run.seed}
    columns = {
        name: pa.repeat(pa.scalar(value, COLLECTED.field(name).type), len(means)) for name, value in labels.items()
    }
    return pa.table({**columns, **{name: means[name] for name in means.column_names}}, schema=COLLECTED)


def _frame(table: pa.Table) -> pd.DataFrame:
    return table.to_pandas(types_mapper={pa.int16(): pd.Int16Dtype()}.get)


def _schema(path: Path) -> pa.Schema:
    try:
        return pq.read_schema(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, error) from None


def _about(path: Path) -> dict[str, Any]:
    """The document about the run, once the columns are known to be right."""
    schema = _schema(path)
    types = {name: schema.field(name).type for name in schema.names}
    for name, allowed in METRICS.items():
        if types.get(name) != allowed:
            raise InputError(f"{path}: column `{name}`: found {types.get(name)}, allowed: {allowed}")
    metric = types.get("metric")
    if getattr(metric, "value_type", metric) != pa.string():
        raise InputError(f"{path}: column `metric`: found {metric}, allowed: string, as a dictionary or plain")
    try:
        return dict(json.loads((schema.metadata or {})[b"lop"]))
    except (KeyError, ValueError, TypeError):
        raise InputError(f"{path}: metadata `lop`: missing or no JSON mapping, allowed: the run's document") from None


def _check_metric(path: Path, panel: Panel) -> None:
    names = pc.unique(pq.read_table(path, columns=["metric"])["metric"].combine_chunks().cast(pa.string())).to_pylist()
    if panel.metric not in names:
        raise InputError(f"{path}: metric: found no {panel.metric!r}, it has: {', '.join(sorted(names)) or 'nothing'}")


def _difference(key: str, found: Any, expected: Any) -> str:
    """The first point in which the two differ, or nothing."""
    if isinstance(found, Mapping) and isinstance(expected, Mapping):
        points = (_difference(f"{key}.{name}", found.get(name), expected.get(name)) for name in {**expected, **found})
        return next(filter(None, points), "")
    return "" if found == expected else f"{key}: found {found!r}, expected {expected!r}"


def _damaged(path: Path, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:120]
    return InputError(f"{path}: truncated, damaged or not a Parquet file ({reason}); move it away and make it again")
