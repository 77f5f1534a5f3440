"""Specification of a run: its parameters, seed and conditions, and the identity derived from them.

Results are addressed by identity. A run's folder is <problem>/<a few parameters>/<key>/seed-<seed> below the results
folder, and the key is a digest of everything that determines the run, so an existing file is always the right one. The
config, setting and scale that requested a run are not part of its identity: equal runs share their files.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

from lop.common import sources
from lop.common.errors import InputError, hint
from lop.common.paths import shown
from lop.common.sources import fingerprint
from lop.data.sets import ImageSource
from lop.runs.parameters import Parameters, at, checked, located, read_mapping, setting_name, settings_of, swept
from lop.runs.problem import Problem
from lop.runs.scale import load_scale, scale_path, tuned_path

HIGHEST_SEED = 2**32 - 1  # highest seed that both NumPy's RandomState and torch's generator accept
MOST_SETTINGS = 10_000  # of a config's sweep
KEY_LENGTH = 16  # hexadecimal digits of a key in a path
CHECKPOINT = "checkpoint.pt"  # file in the folder of a run
EXTENDS = "extends"  # key of a cfg file: name of the config whose parameters at the scale in use the file changes
IDENTITY = "identity.json"  # file next to the folders of the seeds: the identity that their key is a digest of


def seed_folders(group: Path) -> dict[Path, int]:
    """Return {folder: seed} of the runs in the folder of a key, finished or not."""
    found = {folder: re.fullmatch(r"seed-(\d+)(-[0-9a-f]{8})?", folder.name) for folder in sorted(group.glob("seed-*"))}
    return {folder: int(match[1]) for folder, match in found.items() if match}


def metrics_files(folder: Path) -> dict[Path, int]:
    """Return {file: length} of the metrics in the folder of a run."""
    found = {path: re.fullmatch(r"metrics-(\d+)\.parquet", path.name) for path in sorted(folder.glob("metrics-*"))}
    return {path: int(match[1]) for path, match in found.items() if match}


@dataclass(frozen=True)
class Conditions:
    """Inputs of a run besides its parameters, seed and code: images and device."""

    images: ImageSource = ImageSource()
    device: str = "cpu"
    gpu_problems: tuple[str, ...] | None = None  # problems that use `device`, the others use the CPU; None for all

    def of(self, problem: str) -> "Conditions":
        """Return the conditions of a problem's runs."""
        uses_it = self.gpu_problems is None or problem in self.gpu_problems
        return Conditions(self.images, self.device if uses_it else "cpu")

    @property
    def device_kind(self) -> str:
        """Device without its number, since runs on `cuda:0` and `cuda:1` are the same."""
        return self.device.partition(":")[0]


@dataclass(frozen=True)
class RunSpec:
    """One run with its parameters resolved: cfg file, scale, chosen values, command line, setting; see `layers`."""

    problem: Problem
    config: str
    setting: str
    seed: int
    scale: str
    parameters: Parameters
    conditions: Conditions = Conditions()
    inputs: Mapping[str, list[float]] = field(default_factory=dict)  # see `Parameters.inputs`

    def with_seed(self, seed: int) -> "RunSpec":
        """Return the same run with another seed."""
        other = replace(self, seed=seed, inputs=self.parameters.inputs(seed))
        other.__dict__.update(identity=self.identity, key=self.key, group=self.group)  # seeds share them
        return other

    @property
    def name(self) -> str:
        """Name of the run: `rl/ant/std seed 0`."""
        return f"{self.name_of_all_seeds} seed {self.seed}"

    @property
    def name_of_all_seeds(self) -> str:
        """Common name of the runs of a setting: `rl/ant/std`, `imagenet/bp step_size=0.01`."""
        return f"{self.problem.name}/{self.config}" + ("" if self.setting == "default" else f" {self.setting}")

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Everything that determines the run except its seed and its length, as plain JSON values."""
        device = self.conditions.device_kind
        parameters = self.parameters.identity(device)
        del parameters[self.parameters.horizon]
        return {
            "problem": self.problem.name,
            "parameters": parameters,
            "images": self.conditions.images.identity(self.problem.data) if self.problem.data else None,
            "device": device,
            "code": _code(self.problem.entry, *self.parameters.modules(device)),
        }

    @property
    def origin(self) -> dict[str, Any]:
        """Identity, seed, and inputs of the seed."""
        return {**self.identity, "seed": self.seed, "inputs": dict(self.inputs)}

    @cached_property
    def key(self) -> str:
        """Digest of the identity, as used in paths."""
        return fingerprint(self.identity)[:KEY_LENGTH]

    @cached_property
    def group(self) -> Path:
        """Folder of the runs of all seeds, relative to the results folder."""
        values = ({name: self.parameters.value(name)} for name in self.parameters.named_by)
        label = "_".join(map(setting_name, values)) or "runs"  # no commas: Snakemake splits cluster jobs at them
        return Path(self.problem.name, label, self.key)

    @property
    def folder(self) -> Path:
        """Folder of the run, independent of its length, relative to the results folder."""
        inputs = f"-{fingerprint(dict(self.inputs))[:8]}" if self.inputs else ""
        return self.group / f"seed-{self.seed}{inputs}"

    @property
    def path(self) -> Path:
        """Metrics file of the run, relative to the results folder."""
        return self.folder / f"metrics-{self.horizon}.parquet"

    @property
    def horizon(self) -> int:
        """Length of the run, in the unit of its parameter."""
        return getattr(self.parameters, self.parameters.horizon)

    def data_files(self, data: Path) -> list[Path]:
        """Return the image files that the run learns from; `data` is the folder of all sets."""
        return self.conditions.images.files(self.problem.data, self.parameters.classes(self.seed), data)


@cache
def _code(*entries: str) -> dict[str, str]:
    """Return the digests of the code, computed once per process, as thousands of runs may share the same code."""
    return sources.science(*entries)


class Layer(NamedTuple):
    """Parameters from one file; later layers override earlier ones."""

    source: Path  # cfg file, file of the scale, or file of the values chosen for it
    values: dict[str, Any]


def layers(problem: Problem, config: str, scale: str, cfg: Path | None = None) -> list[Layer]:
    """Return the parameters of a config at a scale: those of the configs that it extends, then its own.

    Each of these configs contributes its file, then the overrides of the scale, then the chosen values. A pattern of
    the scale that matches one of them is not applied again to those that extend it. If values have been chosen for the
    config itself, those chosen for the configs that it extends are ignored.

    Args:
        problem: problem of the config.
        config: name of the config.
        scale: name of the scale.
        cfg: file to read instead of the config's.

    Raises:
        InputError: a file does not exist or is invalid, or configs extend one another.
    """
    files, changes = _extended(problem, config, cfg), load_scale(scale)
    chosen_for_itself = changes.chosen.get(f"{problem.name}/{config}", {})
    found, below = [], list[str]()
    for file in reversed(files):
        itself = file is files[0]
        chosen = {} if chosen_for_itself else changes.chosen.get(f"{problem.name}/{file.config}", {})
        values = [
            (file.path, file.values),
            (scale_path(scale), changes.overrides(problem.name, file.config, below, tunes=itself)),
            (tuned_path(scale), chosen_for_itself if itself else chosen),
        ]
        found += [Layer(path, located(problem.model, keys, path.parent)) for path, keys in values if keys]
        below.append(file.config)
    return found


class _CfgFile(NamedTuple):
    config: str
    path: Path
    values: dict[str, Any]  # without `extends`


def _extended(problem: Problem, config: str, cfg: Path | None) -> list[_CfgFile]:
    """Return the files of a config and of all configs that it extends, in this order."""
    files: list[_CfgFile] = []
    path = cfg or problem.cfg_path(config)
    while True:
        written = read_mapping(path)
        files.append(_CfgFile(config, path, {key: value for key, value in written.items() if key != EXTENDS}))
        if EXTENDS not in written:
            return files
        config = written[EXTENDS]
        if config not in problem.configs():
            allowed = f"{', '.join(problem.configs())}{hint(config, problem.configs())}"
            raise InputError(f"{shown(path)}: key `{EXTENDS}`: found {config!r}, allowed: {allowed}")
        if problem.cfg_path(config) in [file.path for file in files]:
            raise InputError(
                f"{shown(path)}: key `{EXTENDS}`: found {config!r}, allowed: a config that does not extend this one"
            )
        path = problem.cfg_path(config)


def merged(found: Iterable[Layer]) -> dict[str, Any]:
    """Return the combined values of layers, in which later ones override earlier ones.

    `*_settings` are merged key by key, unless a later layer also selects the plugin to which they belong.
    """
    values: dict[str, Any] = {}
    for layer in found:
        for key in layer.values:
            values.pop(f"{key}_settings", None)
        for key, value in layer.values.items():
            both = key.endswith("_settings") and isinstance(value, Mapping) and isinstance(values.get(key), Mapping)
            values[key] = {**values[key], **value} if both else value
    return values


def settings(problem: Problem, config: str, scale: str) -> dict[str, dict[str, Any]]:
    """Return {setting name: point} of a config's sweep at a scale."""
    found = layers(problem, config, scale)
    return _points(problem, merged(found), shown(problem.cfg_path(config)), _sources(found))


def _sources(found: Iterable[Layer]) -> dict[str, str]:
    """Return the file in which each key was set last."""
    return {key: shown(layer.source) for layer in found for key in layer.values}


def _where(keys: Iterable[str], source: str, sources_of: Mapping[str, str]) -> str:
    """Return the files in which (dotted) keys were set, or `source` without keys."""
    return " with ".join(dict.fromkeys(sources_of[key.partition(".")[0]] for key in keys)) or source


def _points(
    problem: Problem, values: Mapping[str, Any], source: str, sources_of: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    keys = swept(problem.model, values)
    where = _where(keys, source, sources_of)
    if empty := [key for key, tried in keys.items() if not tried]:
        raise InputError(f"{where}: key `{empty[0]}`: found [], allowed: a value, or a list of values to try")
    names, count = ", ".join(f"`{key}`" for key in keys), prod(map(len, keys.values()))
    if count > MOST_SETTINGS:
        raise InputError(f"{where}: values of {names}: found {count:,} settings, allowed: up to {MOST_SETTINGS:,}")
    named = {setting_name(point): point for point in settings_of(problem.model, values)}
    if len(named) < count:
        raise InputError(
            f"{where}: values of {names}: found {count} settings with {len(named)} names, allowed: different names"
        )
    return named


def resolve(
    problem: Problem,
    config: str,
    seed: int,
    scale: str,
    setting: str = "default",
    cfg: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    conditions: Conditions = Conditions(),
) -> RunSpec:
    """Return the specification of a run.

    Tuning runs end at the last step of their comparison, if they can have that length.

    Args:
        problem: problem of the run.
        config: name of the config.
        seed: seed of the run, 0 to `HIGHEST_SEED`.
        scale: name of the scale.
        setting: name of a point of the config's sweep.
        cfg: file to read instead of the config's.
        overrides: parameters that override the cfg file and the scale. Relative paths in them refer to the current
            folder, whereas paths in a file refer to the folder of that file.
        conditions: images and device.

    Raises:
        InputError: there is no such config or setting, or a parameter is invalid.
    """
    source = shown(cfg or problem.cfg_path(config))
    if not 0 <= seed <= HIGHEST_SEED:
        raise InputError(f"seed: found {seed}, allowed: 0 to {HIGHEST_SEED}")
    found = layers(problem, config, scale, cfg)
    overrides = located(problem.model, overrides or {}, Path())
    values = merged([*found, Layer(Path(), overrides)])
    replaced = _sources(found) | dict.fromkeys(overrides, "command line")
    points = _points(problem, values, source, replaced)
    if setting not in points:
        where = _where(next(iter(points.values())), source, replaced)
        raise InputError(f"{where}: setting: found {setting!r}, allowed: {', '.join(points)}")
    point = points[setting]
    parameters = checked(problem.model, at(values, point), source, replaced)
    changes, horizon = load_scale(scale), problem.model.horizon
    given = {*point, *overrides, *changes.grids.get(f"{problem.name}/{config}", {})}
    if changes.to and changes.to < getattr(parameters, horizon) and horizon not in given:
        parameters = parameters.with_length(changes.to) or parameters
    named = [*point, *(key for key in overrides if key not in point and key not in parameters.cosmetic)]
    name = setting_name({key: parameters.value(key) for key in named})
    return RunSpec(problem, config, name, seed, scale, parameters, conditions, parameters.inputs(seed))
