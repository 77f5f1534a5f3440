"""What the page shows, as plain values: nothing here knows how it looks. Nothing is run, and nothing drawn."""

import base64
import json
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from lop.claims.registry import claimed_figures
from lop.claims.table import HEAD, cells, judged_by_runs
from lop.common.errors import InputError
from lop.common.paths import ROOT
from lop.common.ranges import ranges
from lop.data.sets import Images
from lop.figures.collect import digest_of_runs
from lop.figures.registry import Figure, figure_names, load_figure
from lop.plan.costs import estimate, read_records
from lop.plan.state import DAMAGED, differs, state
from lop.plan.table import HEAD as COSTS
from lop.plan.table import rows
from lop.plan.wanted import wanted_runs
from lop.runs.metrics import read_about
from lop.runs.spec import RunSpec

TOLD = {"seed", "parameters", "seconds", "resumed", "code_digest", "machine", "device", "versions", "ended"}
OF_MACHINE = {"node", "processor", "system"}
MEDIA = {"png": "image/png", "csv": "text/csv", "pdf": "application/pdf"}


@dataclass
class Drawn:
    """A figure: as it lies in the folder of figures, and its runs at the report's scale."""

    name: str
    caption: str
    picture: str  # a data: address, or nothing if it was not drawn
    scale: str  # at which it was drawn; nothing if the file does not say
    of_earlier_runs: bool  # whether it shows others than those that are wanted now
    files: dict[str, str]  # suffix -> data: address, to be saved
    wanted: int
    ready: int
    waits: dict[str, int]  # why runs are to be made -> how many
    sources: list[str]  # names of its runs' configurations


@dataclass
class Made:
    """The runs of one setting that are there."""

    name: str
    seeds: list[int] = field(default_factory=list)
    parameters: set[str] = field(default_factory=set)
    seconds: float = 0.0
    resumed: int = 0
    code: set[str] = field(default_factory=set)
    machines: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)
    ended: str = ""
    states: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        return len(self.seeds)

    @property
    def seeds_text(self) -> str:
        return ranges(self.seeds)


@dataclass
class Contents:
    scale: str
    title: str
    commit: str
    made_on: str
    figures: list[Drawn]
    claims_head: Sequence[str]
    claims: list[dict[str, Any]]  # figure, cells, verdict, why
    runs: list[Made]
    costs_head: Sequence[str]
    costs: list[tuple[str, ...]]  # as `lop.plan.table.rows` gives them
    jobs: dict[str, int]  # problem -> runs that the figures want

    @property
    def hours(self) -> float:
        return sum(run.seconds for run in self.runs) / 3600


def gather(scale: str, results: Path, figures: Path, images: Images, names: Sequence[str] = ()) -> Contents:
    """Contents of the page.

    Args:
        scale: whose runs are looked at.
        results: folder of all runs.
        figures: folder with the figures that were drawn.
        images: what problems that learn from images should have learned from.
        names: of figures; all if there are none.
    """
    wanted = {name: wanted_runs(name, scale, images) for name in names or figure_names()}
    every = {path: spec for runs in wanted.values() for path, spec in runs.items()}
    abouts = {path: _about(results / path) for path in every}
    states = {
        path: DAMAGED if about is None and (results / path).is_file() else state(every[path], results)
        for path, about in abouts.items()
    }
    records = read_records(results)
    todo = {path: estimate(every[path], records) for path, why in states.items() if why}
    drawn = [_drawn(load_figure(name, scale), figures, runs, states) for name, runs in wanted.items()]
    return Contents(
        scale=scale,
        title="Loss of plasticity in deep continual learning: what we have of its figures",
        commit=_commit(),
        made_on=platform.node(),
        figures=drawn,
        claims_head=HEAD,
        claims=_claims(list(wanted), scale, results, images),
        runs=_made(every, abouts),
        costs_head=COSTS,
        costs=rows({name: runs for name, runs in wanted.items() if runs}, states, todo),
        jobs=dict(Counter(spec.problem.name for spec in every.values())),
    )


def _drawn(figure: Figure, folder: Path, runs: Mapping[Path, RunSpec], states: Mapping[Path, str]) -> Drawn:
    waits = Counter(states[path] for path in runs if states[path])
    found = {suffix: folder / f"{figure.name}.{suffix}" for suffix in MEDIA}
    files = {suffix: _address(path, MEDIA[suffix]) for suffix, path in found.items() if path.is_file()}
    picture, scale, earlier = "", "", False
    if "png" in files:
        with Image.open(found["png"]) as image:
            scale, drawn_from = (str(image.info.get(key, "")) for key in ("Scale", "Runs"))
        picture = files["png"]
        wanted = digest_of_runs({path: spec.key for path, spec in runs.items()})
        earlier = bool(drawn_from) and scale == figure.scale and drawn_from != wanted
    sources = list(dict.fromkeys(spec.name_of_all_seeds for spec in runs.values()))
    ready = len(runs) - waits.total()
    return Drawn(figure.name, figure.caption, picture, scale, earlier, files, len(runs), ready, dict(waits), sources)


def _claims(names: Sequence[str], scale: str, results: Path, images: Images) -> list[dict[str, Any]]:
    found = []
    for name in claimed_figures():
        if name not in names:
            continue
        try:
            table = judged_by_runs(load_figure(name, scale), results, images)
        except InputError:  # a damaged file, which the runs' states tell
            continue
        for _, row in table.iterrows():
            found.append({"figure": name, "cells": cells(row), "verdict": row["verdict"], "why": row["why"]})
    return found


def _about(path: Path) -> dict[str, Any] | None:
    """What a run's metrics say of it; None if they are not there or damaged, or say less than a run does."""
    try:
        about = read_about(path)
    except InputError:
        return None
    whole = about.keys() >= TOLD and isinstance(about["machine"], dict) and about["machine"].keys() >= OF_MACHINE
    return about if whole else None


def _made(every: dict[Path, RunSpec], abouts: Mapping[Path, dict[str, Any] | None]) -> list[Made]:
    made: dict[str, Made] = {}
    for path, spec in every.items():
        about = abouts[path]
        if about is None:
            continue
        one = made.setdefault(spec.name_of_all_seeds, Made(spec.name_of_all_seeds))
        one.seeds.append(int(about["seed"]))
        one.parameters.add(json.dumps(about["parameters"], indent=1, sort_keys=True))
        one.seconds += about["seconds"]
        one.resumed += about["resumed"]
        one.code.add(str(about["code_digest"])[:12])
        machine = about["machine"]
        one.machines.add(f"{machine['node']}, {machine['processor']}, {machine['system']}, {about['device']}")
        one.versions.add(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
        one.ended = max(one.ended, str(about["ended"]))
        one.states[differs(spec, about) or "as configured"] += 1
    return sorted(made.values(), key=lambda one: one.name)


def _address(path: Path, media: str) -> str:
    return f"data:{media};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _commit() -> str:
    """Of this checkout, and whether it was changed since; nothing outside of git."""
    try:
        told = [
            subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
            for arguments in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "--untracked-files=no"))
        ]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return told[0] + (", with changes" if told[1] else "")
