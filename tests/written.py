"""Metrics files of runs that were never executed."""

from pathlib import Path
from typing import Any

from lop.runs.metrics import NO_LAYER, MetricsLog, write_metrics
from lop.runs.spec import RunSpec


def about(spec: RunSpec, **changes: Any) -> dict[str, Any]:
    """Return the metadata of a run, as `Runner.about` does."""
    return {
        "name": spec.name, "config": spec.config, "setting": spec.setting, "scale": spec.scale, "key": spec.key,
        "origin": spec.origin, "horizon": spec.horizon, "device": "cpu", "seconds": 1800.0, "resumed": 1, "earlier": [],
        "started": "2026-01-02T02:34:05+00:00", "ended": "2026-01-02T03:04:05+00:00", "steps_per_second": 1.0,
        "versions": {"python": "3.11", "torch": "2"},
        "machine": {"node": "here", "processor": "a <b>processor</b>", "system": "Linux", "cores": 2},
    } | changes  # fmt: skip


def write_run(results: Path, spec: RunSpec, rows: list[tuple], **changes: Any) -> Path:
    """Write rows (metric, step, layer or None, value) as the metrics file of a run; `changes` replace its metadata."""
    log = MetricsLog()
    for metric, step, layer, value in rows:
        log.log(metric, step, value, NO_LAYER if layer is None else layer)
    write_metrics(results / spec.path, log, about(spec, **changes))
    return results / spec.path
