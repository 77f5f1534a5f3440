"""A run's metrics: appended while it runs, written as one tidy Parquet file when it ends.

Columns: `metric` (dictionary<string>), `step` (int64, what the run has consumed: environment steps, examples, tasks or
epochs as the problem says), `layer` (int16, null where there is none), `value` (float64). The schema's metadata holds,
under b"lop", one JSON document about the run: parameters, seed, scale, code digest, versions, machine, times.
"""

import json
from array import array
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from lop.errors import InputError
from lop.files import atomic_file
from lop.paths import shown

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
        layers = pa.array(self.layer, pa.int16())
        metric = pa.DictionaryArray.from_arrays(pa.array(self.metric, pa.int32()), pa.array(self.names, pa.string()))
        columns = [
            metric,
            pa.array(self.step, pa.int64()),
            pa.compute.if_else(pa.compute.equal(layers, NO_LAYER), None, layers),
            pa.array(self.value, pa.float64()),
        ]
        return pa.Table.from_arrays(columns, schema=SCHEMA)

    def state_dict(self) -> dict:
        if not len(self):
            return {"names": []}
        rows = {
            name: torch.frombuffer(getattr(self, name), dtype=dtype).clone() for name, dtype in self._dtypes.items()
        }
        return {"names": list(self.names)} | rows

    def load_state_dict(self, state: dict) -> None:
        self.names = list(state["names"])
        self.codes = {name: code for code, name in enumerate(self.names)}
        for name in self._dtypes:
            values = array(getattr(self, name).typecode)
            if self.names:
                values.frombytes(state[name].numpy().tobytes())
            setattr(self, name, values)

    _dtypes = {"metric": torch.int32, "step": torch.int64, "layer": torch.int16, "value": torch.float64}


def write_metrics(path: Path, log: MetricsLog, about: dict[str, Any]) -> None:
    """Write `path` in one move: a file that exists is whole."""
    table = log.table().replace_schema_metadata({b"lop": json.dumps(about, sort_keys=True).encode()})
    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_about(path: Path) -> dict[str, Any]:
    """What the file's metadata says of its run; InputError if the file is damaged or not one of ours."""
    try:
        metadata = pq.read_schema(path).metadata or {}
        return json.loads(metadata[b"lop"])
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: no such file") from None
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{shown(path)}: truncated, damaged or not written by lop ({_short(error)}); move it away and run again"
        ) from None


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
