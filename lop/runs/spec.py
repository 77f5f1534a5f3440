"""What one run is: problem, config, setting, seed, scale; its parameters, its folder and its fingerprint."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from lop.common import sources
from lop.common.errors import InputError
from lop.common.paths import shown
from lop.data import sets
from lop.data.sets import Images
from lop.runs.configured import configured
from lop.runs.parameters import Parameters, at, checked, located, read_mapping, setting_name, settings_of
from lop.runs.problem import Problem
from lop.runs.scale import load_scale, scale_path

HIGHEST_SEED = 2**32 - 1  # that NumPy's RandomState and torch's generator both take


@dataclass(frozen=True)
class RunSpec:
    """One run, with its parameters resolved: cfg file, then scale, then command line, then setting."""

    problem: Problem
    config: str
    setting: str
    seed: int
    scale: str
    parameters: Parameters
    images: Images
    taken: Mapping[str, list[float]] = field(default_factory=dict)  # see `Parameters.taken`

    def with_seed(self, seed: int) -> "RunSpec":
        """The same run with another seed."""
        return replace(self, seed=seed, taken=self.parameters.taken(seed))

    @property
    def name(self) -> str:
        return f"{self.name_of_all_seeds} seed {self.seed}"

    @property
    def name_of_all_seeds(self) -> str:
        """Of all runs of a setting: `rl/ant/std`, `imagenet/bp step_size=0.01`."""
        return f"{self.problem.name}/{self.config}" + ("" if self.setting == "default" else f" {self.setting}")

    @property
    def folder(self) -> Path:
        """Where the run's files lie, relative to the results folder."""
        return Path(self.scale, self.problem.name, self.config, self.setting, f"seed-{self.seed}")

    @property
    def sources(self) -> dict[str, str]:
        return _sources(self.problem.entry, *self.parameters.modules)

    @property
    def code_digest(self) -> str:
        return _digest(self.problem.entry, *self.parameters.modules)

    @property
    def key(self) -> str:
        """Fingerprint of all that the course of the run depends on; a longer run has the same, if it takes no more."""
        return fingerprint(self.origin)

    @property
    def keys(self) -> Iterator[str]:
        """The run's own key, then those of the shorter runs that it goes on from, which take less."""
        origin = self.origin
        yield fingerprint(origin)
        for n in range(max(map(len, self.taken.values()), default=0) - 1, 0, -1):
            yield fingerprint(origin | {"taken": {name: numbers[:n] for name, numbers in self.taken.items()}})

    @property
    def origin(self) -> dict[str, Any]:
        """What the course of the run depends on, as plain JSON values."""
        return {
            "problem": self.problem.name,
            "parameters": {key: value for key, value in self._given.items() if key != self.parameters.horizon},
            "taken": dict(self.taken),
            "seed": self.seed,
            "sources": self.sources,
        }

    @property
    def identity(self) -> dict[str, Any]:
        """All that the run's result depends on beside its seed and code, as plain JSON values."""
        return {**self._given, **self.taken}

    @property
    def _given(self) -> dict[str, Any]:
        """Parameters, and what makes the images."""
        images = {"data": self.images.identity(self.problem.data)} if self.problem.data else {}
        return self.parameters.identity() | images

    def data_files(self, data: Path) -> list[Path]:
        """The files of images that the run learns from, below the folder of all sets."""
        if not self.problem.data:
            return []
        return sets.files(self.problem.data, self.images.source, self.parameters.classes(self.seed), data)

    @property
    def horizon(self) -> int:
        return getattr(self.parameters, self.parameters.horizon)

    def params(self) -> dict[str, str]:
        """What makes the run stale when it changes, for Snakemake's params."""
        return {
            "parameters": json.dumps(self.identity, sort_keys=True),
            "code": self.code_digest,
        }


@cache
def _sources(*entries: str) -> dict[str, str]:
    """Once a process: a figure has up to thousands of runs of the same code."""
    return sources.sources(*entries)


@cache
def _digest(*entries: str) -> str:
    return sources.combined(_sources(*entries))


def fingerprint(origin: Mapping[str, Any]) -> str:
    """Digest of a run's origin."""
    return hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()


def settings(problem: Problem, config: str, scale: str) -> dict[str, dict[str, Any]]:
    """{setting name: point} of a config's sweep at a scale."""
    values = _written(problem, problem.cfg_path(config)) | _scaled(problem, config, scale)
    return {setting_name(point): point for point in settings_of(problem.model, values)}


def _written(problem: Problem, cfg: Path) -> dict[str, Any]:
    return located(problem.model, read_mapping(cfg), cfg.parent)


def _scaled(problem: Problem, config: str, scale: str) -> dict[str, Any]:
    """What a scale says of a config."""
    overrides = load_scale(scale).overrides(problem.name, config)
    return located(problem.model, overrides, scale_path(scale).parent)


def resolve(
    problem: Problem,
    config: str,
    seed: int,
    scale: str,
    setting: str = "default",
    cfg: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    images: Images | None = None,
) -> RunSpec:
    """The run of that name; InputError if there is no such config or setting, or a parameter is impossible.

    `overrides` become part of the setting's name, so that they never mix with the cfg file's own results. Paths are
    from the folder of the file that has them, those of `overrides` from the current one. `images` are by default those
    of config/config.yaml.
    """
    source = shown(cfg or problem.cfg_path(config))
    if not 0 <= seed <= HIGHEST_SEED:
        raise InputError(f"seed: found {seed}, allowed: 0 to {HIGHEST_SEED}")
    scaled = _scaled(problem, config, scale)
    overrides = located(problem.model, overrides or {}, Path())
    values = _written(problem, cfg or problem.cfg_path(config)) | scaled | overrides
    replaced = dict.fromkeys(scaled, shown(scale_path(scale))) | dict.fromkeys(overrides, "command line")
    points = {setting_name(point): point for point in settings_of(problem.model, values)}
    if setting not in points:
        raise InputError(f"{source}: setting: found {setting!r}, allowed: {', '.join(points)}")
    point = points[setting]
    parameters = checked(problem.model, at(values, point), source, replaced)
    named = [*point, *(key for key in overrides if key not in point and key not in parameters.cosmetic)]
    name = setting_name({key: parameters.value(key) for key in named})
    images = images or Images(configured()["data"]["source"], int(configured()["data"]["seed"]))
    return RunSpec(problem, config, name, seed, scale, parameters, images, parameters.taken(seed))
