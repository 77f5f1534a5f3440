"""Small metrics files and figures made by hand."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lop.figures.registry import Figure

SCHEMA = pa.schema(
    [
        ("metric", pa.dictionary(pa.int32(), pa.string())),
        ("step", pa.int64()),
        ("layer", pa.int16()),
        ("value", pa.float64()),
    ]
)
METHODS = {
    "std": {"label": "Standard PPO", "colour": "C3", "line": "dashed", "marker": "square"},
    "cbp": {"label": "PPO + CBP + L2", "colour": "C0", "line": "solid"},
}
PANEL = {
    "curves": {"std": {"runs": "rl/ant/std"}, "cbp": {"runs": "rl/ant/cbp"}},
    "seeds": 3,
    "metric": "return",
    "to": 40,
    "bin": 10,
    "x_label": "Environment steps",
    "y_label": "Return per episode",
}


def figure(*panels: dict, scale: str = "laptop") -> Figure:
    """A figure of PANEL, or of panels that differ from it."""
    panels = tuple(PANEL | panel for panel in panels or ({},))
    return Figure(name="fig4a", scale=scale, caption="Returns.", panels=panels, methods=METHODS)


def write_run(path: Path, rows: list[tuple], seed: int = 0, parameters: dict | None = None, code: str = "0") -> Path:
    """A metrics file of rows (metric, step, layer, value)."""
    columns = zip(*rows, strict=True)
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    about = {"seed": seed, "parameters": parameters or {}, "scale": "laptop", "code_digest": code}
    table = pa.Table.from_arrays(arrays, schema=SCHEMA.with_metadata({b"lop": json.dumps(about)}))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd")
    return path


def write_runs(results: Path, figure: Figure, **more) -> None:
    """Every run of a figure, with returns that tell its curve, seed and step."""
    for panel in figure.panels:
        for run in figure.runs(panel):
            high = 100.0 * list(panel.curves).index(run.curve)
            rows = [
                (panel.metric, step, None, high + 10.0 * run.seed + step % 7 + step / 10)
                for step in range(5, panel.to + 1, max(5, panel.to // 100))
            ]
            write_run(results / run.path, rows, run.seed, **more)
