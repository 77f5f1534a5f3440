"""A run's metrics: appended while it runs, written as one tidy Parquet file when it ends.

Columns: `metric` (dictionary<string>), `step` (int64, what the run has consumed: environment steps, examples, tasks or
epochs as the problem says), `layer` (int16, null where there is none), `value` (float64). The schema's metadata holds,
under b"lop", one JSON document about the run: parameters, seed, scale, code digest, versions, machine, times.
"""

import json
from array import array
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown

SCHEMA = pa.schema(
    [
        ("metric", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("layer", pa.int16()),
        ("value", pa.float64()),
    ]
)
NO_LAYER = -1


class MetricsLog:
    """Rows in the order in which they were logged, in compact arrays; part of a checkpoint."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.codes: dict[str, int] = {}
        self.metric, self.step, self.layer, self.value = array("i"), array("q"), array("h"), array("d")

    def __len__(self) -> int:
        return len(self.value)

    def log(self, metric: str, step: int, value: float, layer: int = NO_LAYER) -> None:
        """One row."""
        code = self.codes.get(metric)
        if code is None:
            code = self.codes[metric] = len(self.names)
            self.names.append(metric)
        self.metric.append(code)
        self.step.append(step)
        self.layer.append(layer)
        self.value.append(value)

    def recent(self, metric: str, n: int) -> list[float]:
        """The last n values of a metric, newest first, looking back over at most 50 n rows."""
        code, found = self.codes.get(metric), []
        for row in range(len(self) - 1, max(len(self) - 50 * n, 0) - 1, -1):
            if self.metric[row] == code:
                found.append(self.value[row])
                if len(found) == n:
                    break
        return found

    def cut(self, step: int) -> None:
        """Forget all rows after `step`."""
        kept = [row for row, logged_at in enumerate(self.step) if logged_at <= step]
        for name in self._dtypes:
            values = getattr(self, name)
            setattr(self, name, array(values.typecode, (values[row] for row in kept)))

    def table(self) -> pa.Table:
        has_layer = np.packbits(np.frombuffer(self.layer, np.int16) != NO_LAYER, bitorder="little")
        columns = [
            pa.DictionaryArray.from_arrays(_column(pa.int32(), self.metric), _strings(self.names)),
            _column(pa.int64(), self.step),
            _column(pa.int16(), self.layer, has_layer),
            _column(pa.float64(), self.value),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def state_dict(self) -> dict:
        import torch  # only runs need it, not who reads their metrics

        if not len(self):
            return {"names": []}
        columns = {
            name: torch.frombuffer(getattr(self, name), dtype=getattr(torch, dtype)).clone()
            for name, dtype in self._dtypes.items()
        }
        return {"names": list(self.names)} | columns

    def load_state_dict(self, state: dict) -> None:
        self.names = list(state["names"])
        self.codes = {name: code for code, name in enumerate(self.names)}
        for name in self._dtypes:
            values = array(getattr(self, name).typecode)
            if self.names:
                values.frombytes(state[name].numpy().tobytes())
            setattr(self, name, values)

    _dtypes = {"metric": "int32", "step": "int64", "layer": "int16", "value": "float64"}


def _column(kind: pa.DataType, values: array, valid: np.ndarray | None = None) -> pa.Array:
    """Made of the numbers' own memory: `pa.array` would import pandas, a fifth of a second of every run."""
    buffers = [None if valid is None else pa.py_buffer(valid), pa.py_buffer(values)]
    return pa.Array.from_buffers(kind, len(values), buffers)


def _strings(texts: list[str]) -> pa.Array:
    encoded = [text.encode() for text in texts]
    offsets = array("i", accumulate(map(len, encoded), initial=0))
    return pa.Array.from_buffers(
        pa.string(), len(texts), [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    )


def write_metrics(path: Path, log: MetricsLog, about: dict[str, Any]) -> None:
    """Write `path` in one move: a file that exists is whole."""
    table = log.table().replace_schema_metadata({b"lop": json.dumps(about, sort_keys=True).encode()})
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_about(path: Path) -> dict[str, Any]:
    """What a file's metadata says of its run; InputError if the file is damaged or not one of ours."""
    schema = read_schema(path)
    for field in SCHEMA:
        found = schema.field(field.name).type if field.name in schema.names else None
        if found != field.type:
            raise InputError(f"{shown(path)}: column `{field.name}`: found {found}, allowed: {field.type}")
    try:
        return dict(json.loads((schema.metadata or {})[b"lop"]))
    except (KeyError, ValueError, TypeError):
        raise InputError(f"{shown(path)}: metadata `lop`: no JSON mapping, not written by lop") from None


def read_schema(path: Path) -> pa.Schema:
    """The schema of a Parquet file; InputError if it is missing or damaged."""
    try:
        return pq.read_schema(path)
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: no such file") from None
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None


def read_table(path: Path, **what: Any) -> pa.Table:
    """`pyarrow.parquet.read_table` on one thread; InputError if the file is damaged."""
    try:
        return pq.read_table(path, use_threads=False, **what)
    except (pa.ArrowException, OSError) as error:
        raise damaged(path, error) from None


def damaged(path: Path, error: Exception) -> InputError:
    """The error that tells of a file that cannot be read."""
    reason = " ".join(str(error).split())[:120]
    return InputError(f"{shown(path)}: truncated or damaged ({reason}); move it away and run again")
