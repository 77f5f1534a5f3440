"""Metrics of a run: appended while it runs, written as one tidy Parquet file when it ends.

Columns: `metric` (dictionary<string>), `step` (int64, in the unit of the problem: environment steps, examples, tasks or
classes), `layer` (int16, null if the metric has none), `value` (float64). The schema's metadata contains, under b"lop",
a JSON document about the run: its identity, seed and length, versions, machine and times. `lop.runs.tables` reads and
verifies the file.
"""

import json
from array import array
from bisect import bisect_left
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from lop.common.errors import InputError
from lop.common.files import mapping_of
from lop.common.paths import shown
from lop.runs.identity import differences
from lop.runs.parameters import checked
from lop.runs.spec import RunSpec
from lop.runs.tables import ABOUT, read_schema, write_table

SCHEMA = pa.schema(
    [
        ("metric", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("layer", pa.int16()),
        ("value", pa.float64()),
    ]
)
NO_LAYER = -1
FORMAT = 1


class MetricsLog:
    """Logged rows in order, stored in compact arrays and saved in checkpoints."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.codes: dict[str, int] = {}
        self.metric, self.step, self.layer, self.value = array("i"), array("q"), array("h"), array("d")
        self.position = 0  # current step of the run's loop
        self.logged_at = array("q")  # position at which each row was logged; not written to the file

    def __len__(self) -> int:
        return len(self.value)

    def log(self, metric: str, step: int, value: float, layer: int = NO_LAYER) -> None:
        """Append one row.

        Args:
            metric: name of the metric.
            step: step in the unit of the problem.
            value: value of the metric.
            layer: index of the layer; `NO_LAYER` for metrics of the whole network.
        """
        code = self.codes.get(metric)
        if code is None:
            code = self.codes[metric] = len(self.names)
            self.names.append(metric)
        self.metric.append(code)
        self.step.append(step)
        self.layer.append(layer)
        self.value.append(value)
        self.logged_at.append(self.position)

    def recent(self, metric: str, n: int) -> list[float]:
        """Return the last n values of a metric, newest first, looking back over at most 50 n rows."""
        code, found = self.codes.get(metric), []
        for row in range(len(self) - 1, max(len(self) - 50 * n, 0) - 1, -1):
            if self.metric[row] == code:
                found.append(self.value[row])
                if len(found) == n:
                    break
        return found

    def cut(self, position: int) -> None:
        """Drop all rows logged at or after a position, as if the run had ended there."""
        rows = bisect_left(self.logged_at, position)
        for name in self._dtypes:
            setattr(self, name, getattr(self, name)[:rows])
        self.names = self.names[: max(self.metric, default=-1) + 1]  # codes are assigned in order of appearance
        self.codes = {name: code for code, name in enumerate(self.names)}

    def table(self) -> pa.Table:
        """Return the rows as an Arrow table with `SCHEMA`, without copying them."""
        has_layer = np.packbits(np.frombuffer(self.layer, np.int16) != NO_LAYER, bitorder="little")
        columns = [
            pa.DictionaryArray.from_arrays(_column(pa.int32(), self.metric), _strings(self.names)),
            _column(pa.int64(), self.step),
            _column(pa.int16(), self.layer, has_layer),
            _column(pa.float64(), self.value),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def state_dict(self) -> dict:
        """Return the rows as NumPy arrays, with the names of the metrics."""
        columns = {name: np.array(getattr(self, name), dtype) for name, dtype in self._dtypes.items()}
        return {"names": list(self.names)} | columns

    def load_state_dict(self, state: dict) -> None:
        """Restore the rows that `state_dict` returned."""
        self.names = list(state["names"])
        self.codes = {name: code for code, name in enumerate(self.names)}
        for name in self._dtypes:
            setattr(self, name, array(getattr(self, name).typecode, state[name].tobytes()))

    _dtypes = {"metric": "int32", "step": "int64", "layer": "int16", "value": "float64", "logged_at": "int64"}


def _column(kind: pa.DataType, values: array, valid: np.ndarray | None = None) -> pa.Array:
    """Wrap the array's memory; `pa.array` would import pandas, which adds a fifth of a second to every run."""
    buffers = [None if valid is None else pa.py_buffer(valid), pa.py_buffer(values)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _strings(texts: list[str]) -> pa.Array:
    encoded = [text.encode() for text in texts]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    return pa.Array.from_buffers(
        pa.string(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def write_metrics(path: Path, log: MetricsLog, about: dict[str, Any]) -> None:
    """Write a metrics file atomically, with `about` as the JSON document in its metadata."""
    write_table(log.table(), path, json.dumps({"format": FORMAT, **about}, sort_keys=True))


class _Machine(BaseModel):
    node: str
    processor: str
    system: str
    cores: int | None


class _Part(BaseModel):
    machine: _Machine
    versions: dict[str, str]


class _Origin(BaseModel):
    problem: str
    parameters: dict[str, Any]
    images: dict[str, Any] | None
    device: str
    code: dict[str, str]
    seed: int
    inputs: dict[str, Any]


class _About(_Part):
    """Metadata about a run that readers rely on."""

    config: str
    setting: str
    origin: _Origin
    horizon: int
    device: str
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    resumed: int
    started: str
    ended: str
    earlier: list[_Part]


def read_about(path: Path) -> dict[str, Any]:
    """Return the metadata about the run in a metrics file.

    Raises:
        InputError: the file is missing, damaged, of another format, or not written by lop.
    """
    schema = read_schema(path)
    for field in SCHEMA:
        found = schema.field(field.name).type if field.name in schema.names else None
        if found != field.type:
            raise InputError(f"{shown(path)}: column `{field.name}`: found {found}, allowed: {field.type}")
    try:
        about = mapping_of((schema.metadata or {})[ABOUT])
    except (KeyError, ValueError):
        raise InputError(f"{shown(path)}: metadata `lop`: no JSON mapping, not written by lop") from None
    if about.get("format") != FORMAT:
        raise InputError(f"{shown(path)}: metrics format: found {about.get('format')!r}, allowed: {FORMAT}")
    checked(_About, about, f"{shown(path)}: metadata `lop`")
    return about


def check_belongs(path: Path, spec: RunSpec) -> dict[str, Any]:
    """Return the metadata about the run in a metrics file.

    Raises:
        InputError: the file is missing or damaged, or belongs to a run other than `spec`.
    """
    about = read_about(path)
    differing = differences(about["origin"], spec.origin)
    if about["horizon"] != spec.horizon:
        differing.facts[spec.parameters.horizon] = (about["horizon"], spec.horizon)
    if differing:
        raise InputError(f"{shown(path)}: metrics of another run: {differing}; move them away and run again")
    return about
