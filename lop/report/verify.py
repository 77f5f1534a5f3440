"""Repeat the beginning of published runs, and compare: `snakemake verify --config scale=day`.

    python -m lop.report.verify --scale day                     # four runs, about a minute each
    python -m lop.report.verify fig4 --scale day --runs 10 --choice 7

The runs are a random choice from all published ones of the scale, or of the given figures; `--choice` is its seed.
Each is repeated up to the step that takes about `--seconds`, in a temporary folder.

On the same kind of processor, all values must be bit-identical to the published ones. On another kind, rounding
differs, and differences grow while a network learns. There, the mean of every metric over the repeated part must lie in
the 99.9% prediction interval (Student's t) of the published runs of the same setting with all seeds.
"""

import argparse
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from lop.common.arguments import Parser, count, positive
from lop.common.errors import InputError, hint, told_in_one_line
from lop.common.paths import PROJECT
from lop.data.prepare import prepare
from lop.figures.registry import figure_names, load_figure
from lop.figures.runs import by_path, shown_runs
from lop.runs.configured import add_options, conditions_of, configured
from lop.runs.metrics import check_belongs, read_about
from lop.runs.published import RUNS, published_tables
from lop.runs.spec import RunSpec
from lop.runs.tables import read_table

CONFIDENCE = 0.999


def main(argv: Sequence[str] | None = None) -> None:
    """Print one line per repeated run; exit with status 1 if one of them differs."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        specs, every = published_runs(options, options.figures), published_runs(options)
        chosen = random.Random(options.choice).sample(specs, min(options.runs, len(specs)))
        with ThreadPoolExecutor(options.jobs) as pool, tempfile.TemporaryDirectory() as folder:
            verdicts = list(pool.map(lambda spec: verify(spec, every, options.seconds, Path(folder)), chosen))
        for spec, (_, text) in zip(chosen, verdicts, strict=True):
            print(f"{spec.name}: {text}")
        good = sum(fine for fine, _ in verdicts)
        print(f"{good} of {len(chosen)} runs verified, chosen from {len(specs)} at {options.scale} scale")
        raise SystemExit(good < len(chosen))


def published_runs(options: argparse.Namespace, figures: Sequence[str] = ()) -> list[RunSpec]:
    """Return the published runs of a scale, or of some figures, that the current code would reproduce.

    Raises:
        InputError: there are none.
    """
    conditions = conditions_of(options)
    tables, defined = published_tables(options.scale), figure_names()
    published = sorted(name for name, table in tables.items() if table.runs and name in defined)
    if unknown := [name for name in figures if name not in published]:
        raise InputError(
            f"figure: found {unknown[0]!r}, allowed: those with published runs at {options.scale} scale: "
            f"{', '.join(published) or 'none'}{hint(unknown[0], published)}"
        )
    specs = {
        path: spec
        for name in figures or published
        for path, spec in by_path(shown_runs(load_figure(name, options.scale), conditions)).items()
    }
    found = [specs[path] for path in sorted(specs) if (RUNS / path).is_file()]
    if not found:
        raise InputError(
            f"published: found no runs at {options.scale} scale that were made by this code with these parameters"
        )
    return found


def verify(spec: RunSpec, others: Sequence[RunSpec], seconds: float, folder: Path) -> tuple[bool, str]:
    """Repeat the beginning of a published run.

    Args:
        spec: the run.
        others: all published runs.
        seconds: approximate time that the repeated part took when the run was made.
        folder: folder for the results.

    Returns:
        Whether the run is verified, and how, as text.
    """
    about = check_belongs(RUNS / spec.path, spec)
    short = shortened(spec, max(seconds, 0.001) / max(about["seconds"], 0.001))
    command = [sys.executable, "-m", spec.problem.entry, "--config", str(spec.problem.cfg_path(spec.config))]
    command += ["--setting", spec.setting, "--scale", spec.scale, "--seed", str(spec.seed), "--results", str(folder)]
    command += [f"--{spec.parameters.horizon}", str(short.horizon), "--device", spec.conditions.device]
    if name := spec.problem.data:
        images, data = spec.conditions.images, PROJECT / configured().data.sets
        if not all(path.is_file() for path in short.data_files(data)):
            own = configured().data.folder if images.source_of(name) == "original" else None
            prepare(name, images, short.parameters.classes(spec.seed), Path(own) if own else None, data)
        command += ["--data", str(data), "--data-source", images.source_of(name), "--data-seed", str(images.seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return False, (done.stderr.strip().splitlines() or ["failed without a message"])[-1]
    ours, part = read_table(folder / short.path), f"first {short.horizon:,} of {spec.horizon:,}"
    published = read_table(RUNS / spec.path).slice(0, len(ours))
    if identical(ours, published):
        return True, f"{part}: all {len(ours):,} values are bit-identical"
    if same_processor(about, read_about(folder / short.path)):
        return False, f"{part}: values differ, on the same kind of processor"
    seeds = {one.seed: one for one in others if one.group == spec.group}.values()
    outside = list(outliers(ours, [read_table(RUNS / one.path).slice(0, len(ours)) for one in seeds]))
    where = f"on another kind of processor, means in the intervals of {len(seeds)} published seeds"
    return not outside, f"{part}: {where}" + (f", except {', '.join(outside)}" if outside else "")


def shortened(spec: RunSpec, fraction: float) -> RunSpec:
    """Return the same run with about a fraction of its length, or with the next possible length above it."""
    for parts in range(int(1 / min(fraction, 1.0)), 1, -1):
        if spec.horizon % parts == 0 and (short := spec.parameters.with_length(spec.horizon // parts)):
            return replace(spec, parameters=short)
    return spec


def identical(ours: pa.Table, published: pa.Table) -> bool:
    """Return whether two tables of metrics have the same rows, bit for bit."""
    if ours.num_rows != published.num_rows:
        return False
    same = all(ours[name].equals(published[name]) for name in ("step", "layer"))
    names = [table["metric"].cast(pa.string()) for table in (ours, published)]
    values = [table["value"].to_numpy().view(np.int64) for table in (ours, published)]
    return same and names[0].equals(names[1]) and np.array_equal(*values)


def same_processor(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two runs were made on the same kind of processor, according to the metadata of their metrics."""
    kinds = [
        {(part["machine"]["processor"], part["machine"].get("features")) for part in (about, *about["earlier"])}
        for about in (one, other)
    ]
    return kinds[0] == kinds[1]


def outliers(ours: pa.Table, published: Sequence[pa.Table]) -> Iterator[str]:
    """Yield the metrics whose mean is outside the prediction interval of the published runs' means."""
    mine, theirs = means(ours), [means(table) for table in published]
    for metric, value in mine.items():
        known = np.array([one[metric] for one in theirs if metric in one])
        if len(known) < 2:
            yield f"{metric} (too few seeds to compare)"
            continue
        width = stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1) * known.std(ddof=1) * np.sqrt(1 + 1 / len(known))
        if not abs(value - known.mean()) <= width:
            yield metric


def means(table: pa.Table) -> dict[str, float]:
    """Return the mean of every metric in a table of metrics."""
    grouped = table.set_column(0, "metric", table["metric"].cast(pa.string())).group_by("metric")
    rows = grouped.aggregate([("value", "mean")]).to_pydict()
    return dict(zip(rows["metric"], rows["value_mean"], strict=True))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.report.verify", description=__doc__)
    add = parser.add_argument
    add("figures", nargs="*", metavar="FIGURE", help="figures whose runs are repeated (default: all)")
    add("--runs", type=count, default=4, help="number of runs to repeat (default: %(default)s)")
    add("--choice", type=int, default=0, help="seed of the random choice of runs (default: %(default)s)")
    add("--seconds", type=positive, default=60.0, help="approximate length of a repeated part (default: %(default)s)")
    add("--jobs", type=count, default=1, help="number of runs at the same time (default: %(default)s)")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
