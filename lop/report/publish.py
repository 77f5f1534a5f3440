"""Copy results into `published`, the folder of results that are shipped with the project (`lop.runs.published`).

    python -m lop.report.publish fig4a fig4b --scale day          # tables, drawn figures, metrics of all runs
    python -m lop.report.publish ed4a --scale laptop --tables     # only tables, for the documentation

The figures must have been built from the current runs. Verdicts on the claims of all published figures of the scale are
written to claims.csv and claims.md. Files of earlier publications that are no longer used are deleted.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lop.claims.table import judged_tables, write
from lop.common.arguments import Parser
from lop.common.errors import InputError, told_in_one_line
from lop.common.files import atomic_file, read_json, write_json
from lop.common.paths import PROJECT, shown
from lop.figures.draw import stored_texts
from lop.figures.registry import figure_names, load_figure
from lop.figures.runs import by_path, collection_key, shown_runs, table_key, table_path
from lop.report.gather import commit
from lop.runs.configured import add_options, conditions_of
from lop.runs.metrics import check_belongs
from lop.runs.provenance import versions
from lop.runs.published import PUBLISHED, read_index, stored
from lop.runs.spec import IDENTITY, RunSpec
from lop.runs.tables import ABOUT, read_table, write_table

DRAWN = (".png", ".pdf", ".csv")


def main(argv: Sequence[str] | None = None) -> None:
    """Publish the figures on the command line; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        version = f"lop {versions()['lop']}, {commit() or 'unknown commit'}"  # before published files change
        for name in options.figures:
            publish(name, version, options)
        remove_unused(options.published)
        write_claims(options)
        if names := outdated(options):
            print(f"published earlier from other runs than the current ones, to be published again: {', '.join(names)}")
        size = sum(path.stat().st_size for path in options.published.rglob("*") if path.is_file())
        print(f"{shown(options.published)}: {size / 1e6:.1f} MB")


def publish(name: str, version: str, options: argparse.Namespace) -> None:
    """Copy the table of a figure and, unless only tables are wanted, the drawn figure and the metrics of its runs.

    Raises:
        InputError: the table, the drawn figure or a run does not exist.
    """
    figure = load_figure(name, options.scale)
    runs = shown_runs(figure, conditions_of(options))
    table, folder = options.results / table_path(figure, runs), options.published / options.scale
    files = [] if options.tables else [options.drawn / f"{name}{suffix}" for suffix in DRAWN]
    for path in (table, *files):
        if not path.is_file():
            target = shown(table) if path is table else f"figures/{name}.pdf"
            raise InputError(f"{shown(path)}: no such file; `make {target} SCALE={options.scale}` builds it")
    if not options.tables and stored_texts(options.drawn / f"{name}.png").get("Table") != table.stem:
        raise InputError(
            f"{shown(options.drawn / name)}.png: found a figure of other runs, allowed: one drawn from {shown(table)}; "
            f"`make figures/{name}.pdf SCALE={options.scale}` draws it"
        )
    specs = by_path(runs)
    abouts = [check_belongs(stored(path, options.results), spec) for path, spec in specs.items()]
    if options.tables:
        for suffix in DRAWN:
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
    else:
        for path, spec in specs.items():
            copy_run(stored(path, options.results), options.published / "runs" / path, spec)
    for source in (table, *files):
        with atomic_file(folder / (f"{name}.parquet" if source is table else source.name)) as temporary:
            shutil.copyfile(source, temporary)
    entry = {
        "key": table.stem,
        "collected": collection_key(figure),
        "runs": [] if options.tables else [str(path) for path in specs],
        "version": version,
        "made_by": history(abouts),
    }
    write_json(folder / "index.json", {**read_json(folder / "index.json"), name: entry})


def copy_run(source: Path, target: Path, spec: RunSpec) -> None:
    """Copy the metrics of a run, without the name of the machine, and the identity of its group."""
    if source == target:
        return
    table = read_table(source)
    about: dict[str, Any] = json.loads(table.schema.metadata[ABOUT])
    for part in (about, *about["earlier"]):
        part["machine"]["node"] = "another machine"
    write_table(table, target, json.dumps(about, sort_keys=True), level=19)
    write_json(target.parents[1] / IDENTITY, spec.identity)


def history(abouts: Sequence[Mapping[str, Any]]) -> str:
    """Describe how runs were made, from the metadata of their metrics."""
    if not abouts:
        return "no runs"
    parts = [part for about in abouts for part in (about, *about["earlier"])]
    machines = sorted({part["machine"]["processor"] for part in parts})
    names = sorted({f"{name} {version}" for part in parts for name, version in part["versions"].items()})
    ended = max(str(about["ended"]) for about in abouts)[:10]
    hours = sum(about["seconds"] for about in abouts) / 3600
    return f"{len(abouts)} runs, {hours:.2g} core-hours until {ended} on {', '.join(machines)}; {', '.join(names)}"


def write_claims(options: argparse.Namespace) -> None:
    """Write the verdicts on the claims about all published figures of a scale."""
    folder = options.published / options.scale
    if len(table := judged_tables(folder, options.scale, conditions_of(options).images)):
        write(table, folder / "claims.csv", folder / "claims.md")


def outdated(options: argparse.Namespace) -> list[str]:
    """Return the published figures of a scale whose tables were collected from other runs than the current ones.

    Figures that are no longer defined do not count.
    """
    conditions, defined = conditions_of(options), figure_names()

    def key(name: str) -> str:
        figure = load_figure(name, options.scale)
        return table_key(figure, shown_runs(figure, conditions))

    index = read_index(options.published / options.scale / "index.json")
    return [name for name, entry in index.items() if name in defined and entry.key != key(name)]


def remove_unused(published: Path) -> None:
    """Delete published runs that no published table uses."""
    indices = [read_index(path) for path in published.glob("*/index.json")]
    used = {path for index in indices for entry in index.values() for path in entry.runs}
    runs = published / "runs"
    for path in runs.glob("*/*/*/*/metrics-*.parquet"):
        if str(path.relative_to(runs)) not in used:
            path.unlink()
    for folder in sorted(runs.rglob("*"), reverse=True):
        if folder.is_dir() and not any(one.suffix == ".parquet" for one in folder.rglob("*")):
            shutil.rmtree(folder)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m lop.report.publish",
        description=__doc__,
    )
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="figures (default: none; test the claims again)")
    parser.add_argument("--tables", action="store_true", help="publish only the collected tables")
    parser.add_argument("--drawn", type=Path, default=PROJECT / "figures", help="folder of the drawn figures")
    parser.add_argument("--published", type=Path, default=PUBLISHED, help="folder to write (default: %(default)s)")
    add_options(parser)
    return parser


if __name__ == "__main__":
    main()
