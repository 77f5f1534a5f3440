"""Files of results that were computed elsewhere, to be drawn beside the runs of this project.

A file is CSV or Parquet and has exactly these columns, in any order:

    method  name of the method; a curve shows the rows of one method
    seed    whole number from 0; a figure shows only its own seeds, and the file must contain all of them
    step    whole number from 0 to the last step of the figure
    value   number in the unit of the figure's metric, before `factor`; NaN or empty where a run diverged

There is at most one row per method, seed and step.
"""

import hashlib
from pathlib import Path
from typing import NoReturn

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from lop.common.errors import InputError, hint
from lop.common.paths import shown
from lop.common.ranges import ranges
from lop.figures.registry import Figure, Panel
from lop.runs.parameters import LARGEST
from lop.runs.tables import read_table

COLUMNS = ("method", "seed", "step", "value")
PANDAS_INDEX = "__index_level_0__"  # column in which pandas stores an index without a name, such as that of `concat`


def digest(path: Path) -> str:
    """Return the digest of a file's content.

    Raises:
        InputError: there is no such file.
    """
    _must_exist(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checked_files(figure: Figure) -> list[str]:
    """Return the paths of a figure's files of results, as figures.yaml gives them.

    Raises:
        InputError: a file is invalid or does not fit the figure.
    """
    files = [(panel, curve) for panel in figure.curve_panels.values() for curve in panel.file_curves]
    for panel, curve in files:
        try:
            read_results(panel, curve)
        except InputError as error:
            raise InputError(f"{error} ({figure.name} at {figure.scale} scale)") from None
    return list(dict.fromkeys(panel.file_curves[curve].file for panel, curve in files))


def read_results(panel: Panel, curve: str) -> dict[int, pa.Table]:
    """Return the results of a curve.

    Args:
        panel: panel of the curve, with the curve's seeds and the last step that it shows.
        curve: name of a curve that shows results from a file.

    Returns:
        {seed: columns step, layer (null), value}, in ascending order of seeds.

    Raises:
        InputError: the file is invalid, lacks the method or a seed, or has a step beyond the panel's last one.
    """
    source, seeds = panel.file_curves[curve], panel.seeds_of(curve)
    where, table = shown(source.path), read_file(source.path)
    if source.method not in set(table["method"]):
        names = list(dict.fromkeys(table["method"]))
        allowed = f"{', '.join(names)}{hint(source.method, names)}"
        raise InputError(f"{where}: found no method {source.method!r}, allowed: {allowed}")
    rows = table[table["method"] == source.method]
    if missing := set(seeds) - set(rows["seed"]):
        raise InputError(
            f"{where}: method {source.method}: column `seed`: found {ranges(set(rows['seed']))}, "
            f"allowed: all seeds of the curve, {ranges(seeds)}; missing: {ranges(missing)}"
        )
    rows = rows[rows["seed"].isin(seeds)]
    if (beyond := rows["step"] > panel.to).any():
        _refuse(source.path, rows, beyond, "step", f"0 to {panel.to}, the last step of the figure")
    return {
        seed: pa.table(
            {
                "step": one["step"].to_numpy(),
                "layer": pa.nulls(len(one), pa.int16()),
                "value": one["value"].to_numpy(),  # as an array, whose NaN does not become null
            }
        )
        for seed in sorted(seeds)
        for one in [rows[rows["seed"] == seed]]
    }


def read_file(path: Path) -> pd.DataFrame:
    """Return the rows of a file of results, with the types of their columns.

    The index is the number of the row as a spreadsheet shows it; the header of a CSV file is row 1.

    Raises:
        InputError: the file cannot be read, has other columns, no rows, an invalid value or a duplicate row.
    """
    _must_exist(path)
    table = _read_csv(path) if path.suffix == ".csv" else read_table(path)
    names = [name for name in table.column_names if name != PANDAS_INDEX]
    if sorted(names) != sorted(COLUMNS):
        raise InputError(f"{shown(path)}: columns: found {', '.join(names)}, allowed: {', '.join(COLUMNS)}")
    if not len(table):
        raise InputError(f"{shown(path)}: found no rows, allowed: at least one")
    raw = table.to_pandas(ignore_metadata=True)
    raw.index += 2 if path.suffix == ".csv" else 1
    text = raw.astype(str).apply(lambda column: column.str.strip())  # numbers, unlike booleans and dates, remain such
    numbers = {name: pd.to_numeric(text[name], errors="coerce").astype(float) for name in COLUMNS[1:]}
    if (nameless := raw["method"].isna() | (text["method"] == "")).any():
        _refuse(path, raw, nameless, "method", "a name")
    for name in ("seed", "step"):
        if (bad := ~(numbers[name].between(0, LARGEST) & (numbers[name] % 1 == 0))).any():
            _refuse(path, raw, bad, name, f"a whole number from 0 to {LARGEST:g}")
    empty = raw["value"].isna() | text["value"].str.lower().isin(("", "nan"))
    if (bad := numbers["value"].isna() & ~empty).any():
        _refuse(path, raw, bad, "value", "a number")
    typed = pd.DataFrame({"method": text["method"], **numbers}).astype({"seed": "int64", "step": "int64"})
    if (again := typed.duplicated(["method", "seed", "step"])).any():
        _refuse(path, raw, again, "step", "one row per method, seed and step")
    return typed


def _must_exist(path: Path) -> None:
    if not path.is_file():  # reading a FIFO would never end
        raise InputError(f"{shown(path)}: no such file")


def _read_csv(path: Path) -> pa.Table:
    """Return all columns as text, with the line of the first malformed row in the error."""
    try:
        with open(path, "rb") as file:
            return pyarrow.csv.read_csv(
                file,
                read_options=pyarrow.csv.ReadOptions(use_threads=False),
                convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string())),
            )
    except pa.ArrowInvalid as error:
        raise InputError(f"{shown(path)}: not valid CSV: {error}") from None


def _refuse(path: Path, rows: pd.DataFrame, bad: pd.Series, column: str, allowed: str) -> NoReturn:
    number = bad.idxmax()
    found = str(rows.loc[number, column])
    raise InputError(f"{shown(path)}: row {number}: column `{column}`: found {found!r}, allowed: {allowed}")
