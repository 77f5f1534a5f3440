"""Contents of the page as plain values, independent of its layout."""

import base64
import json
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from lop.claims.registry import claimed_figures, load_claims
from lop.claims.table import HEAD, cells, joined, judged_by_runs, summary
from lop.common.errors import InputError
from lop.common.paths import ROOT
from lop.common.ranges import ranges
from lop.common.sources import combined
from lop.figures.draw import stored_texts
from lop.figures.registry import Figure, figure_names, load_figure
from lop.figures.runs import by_path, shown_runs, table_key
from lop.plan.costs import estimate, read_records
from lop.plan.state import State, states
from lop.plan.table import HEAD as COSTS
from lop.plan.table import rows
from lop.runs.provenance import changed_since
from lop.runs.spec import Conditions, RunSpec

MEDIA = {"png": "image/png", "csv": "text/csv", "pdf": "application/pdf"}


@dataclass
class Drawn:
    """A drawn figure, and the state of its runs at the scale of the report."""

    name: str
    caption: str
    picture: str  # data: URL; empty if the figure was not drawn
    scale: str  # scale at which it was drawn; empty if unknown
    of_earlier_runs: bool  # whether it was drawn from runs other than the current ones
    files: dict[str, str]  # suffix -> data: URL, for download
    wanted: int  # number of runs that the figure uses
    ready: int  # number of them that exist
    waits: dict[str, int]  # reason why runs remain to be done -> number of runs
    sources: list[str]  # names of its settings


@dataclass
class Made:
    """The existing runs of one setting."""

    name: str
    seeds: list[int] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)
    seconds: float = 0.0
    resumed: int = 0
    code: set[str] = field(default_factory=set)
    machines: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)  # versions that differ from those installed now
    ended: str = ""

    @property
    def count(self) -> int:
        """Number of runs."""
        return len(self.seeds)

    @property
    def seeds_text(self) -> str:
        """Seeds as ranges, such as `0-2, 5`."""
        return ranges(self.seeds)


@dataclass
class Contents:
    """Contents of the page."""

    scale: str
    title: str
    commit: str  # as returned by the function `commit`
    made_on: str  # name of this machine
    figures: list[Drawn]
    claims_head: Sequence[str]
    claims: list[dict[str, Any]]  # figure, cells, verdict, why
    claims_summary: str  # numbers of verdicts and tests
    runs: list[Made]
    costs_head: Sequence[str]
    costs: list[tuple[str, ...]]  # as returned by `lop.plan.table.rows`
    jobs: dict[str, int]  # problem -> number of runs that the figures use

    @property
    def hours(self) -> float:
        """Core-hours of the existing runs."""
        return sum(run.seconds for run in self.runs) / 3600


def gather(scale: str, results: Path, figures: Path, conditions: Conditions, names: Sequence[str] = ()) -> Contents:
    """Gather the contents of the page.

    Args:
        scale: scale of the runs.
        results: folder of all runs.
        figures: folder of the drawn figures.
        conditions: images and device of the runs.
        names: names of the figures; all figures if empty.

    Raises:
        InputError: a figure or its configuration is invalid.
    """
    entries = [load_figure(name, scale) for name in names or figure_names()]
    shown = {figure.name: shown_runs(figure, conditions) for figure in entries}
    wanted = {name: by_path(runs) for name, runs in shown.items()}
    every = by_path(chain.from_iterable(shown.values()))
    found = states(every.values(), results)
    whys = {path: state.why for path, state in found.items()}
    records = read_records(results)
    todo = {path: estimate(every[path], records) for path, why in whys.items() if why}
    named = {name: [every[path] for path in runs] for name, runs in wanted.items()}
    drawn = [
        _drawn(figure, figures, named[figure.name], table_key(figure, shown[figure.name]), whys) for figure in entries
    ]
    claims, claims_summary = _claims(entries, results, conditions)
    return Contents(
        scale=scale,
        title="Loss of plasticity in deep continual learning: reproduced figures",
        commit=commit(),
        made_on=platform.node(),
        figures=drawn,
        claims_head=HEAD,
        claims=claims,
        claims_summary=claims_summary,
        runs=_made(every, found),
        costs_head=COSTS,
        costs=rows({name: runs for name, runs in wanted.items() if runs}, whys, todo),
        jobs=dict(Counter(spec.problem.name for spec in every.values())),
    )


def _drawn(figure: Figure, folder: Path, runs: Sequence[RunSpec], key: str, whys: Mapping[Path, str]) -> Drawn:
    waits = Counter(whys[spec.path] for spec in runs if whys[spec.path])
    found = {suffix: folder / f"{figure.name}.{suffix}" for suffix in MEDIA}
    files = {suffix: _address(path, MEDIA[suffix]) for suffix, path in found.items() if path.is_file()}
    picture, scale, earlier = "", "", False
    if "png" in files:
        texts = stored_texts(found["png"])
        scale, drawn_from = texts.get("Scale", ""), texts.get("Table", "")
        picture = files["png"]
        earlier = bool(drawn_from) and scale == figure.scale and drawn_from != key
    sources = list(dict.fromkeys(spec.name_of_all_seeds for spec in runs))
    ready = len(runs) - waits.total()
    return Drawn(figure.name, figure.caption, picture, scale, earlier, files, len(runs), ready, dict(waits), sources)


def _claims(figures: Sequence[Figure], results: Path, conditions: Conditions) -> tuple[list[dict[str, Any]], str]:
    """Return one mapping per claim, and a summary with the damaged files that could not be used."""
    tables, damaged, claimed = [], [], claimed_figures()
    for figure in figures:
        if figure.name not in claimed:
            continue
        load_claims(figure.name)  # invalid claims are an error; a damaged result is not
        try:
            tables.append(judged_by_runs(figure, results, conditions))
        except InputError as error:
            damaged.append(f"{error}.")
    table = joined(tables)
    found = [
        {"figure": row["figure"], "cells": cells(row), "verdict": row["verdict"], "why": row["why"]}
        for _, row in table.iterrows()
    ]
    return found, " ".join([summary(table)] * bool(found) + damaged)


def _made(every: Mapping[Path, RunSpec], found: Mapping[Path, State]) -> list[Made]:
    made: dict[str, Made] = {}
    for path, spec in every.items():
        about = found[path].about
        if not about:
            continue
        one = made.setdefault(spec.name_of_all_seeds, Made(spec.name_of_all_seeds))
        one.seeds.append(spec.seed)
        parameters = about["origin"]["parameters"] | {spec.parameters.horizon: about["horizon"]}
        one.parameters.add(json.dumps(parameters, indent=1, sort_keys=True))
        one.seconds += about["seconds"]
        one.resumed += about["resumed"]
        one.code.add(combined(about["origin"]["code"])[:12])
        machine = about["machine"]
        one.machines.add(f"{machine['node']}, {machine['processor']}, {machine['system']}, {about['device']}")
        one.versions.add(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
        one.changed |= {f"{name} {then}, now {now}" for name, (then, now) in changed_since(about).items()}
        one.ended = max(one.ended, str(about["ended"]))
    return sorted(made.values(), key=lambda one: one.name)


def _address(path: Path, media: str) -> str:
    return f"data:{media};base64,{base64.b64encode(path.read_bytes()).decode()}"


def commit() -> str:
    """Return the commit of this checkout, with a note if tracked files differ from it; empty outside git."""
    try:
        told = [
            subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return told[0] + (", with changes" if told[1] else "")
