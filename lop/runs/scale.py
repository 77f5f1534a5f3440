"""Scales of experiments: config/scales/<scale>.yaml overrides cfg files (and figures, see `lop.figures`).

config/tuned/<scale>.yaml holds the values that `snakemake tune` has chosen for a scale, which override
cfg files and the scale.

The scale `<scale>.<comparison>` is that of the tuning runs: it has the grids of a comparison instead of chosen values.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, RootModel, ValidationError, model_validator

from lop.common.errors import InputError, hint
from lop.common.paths import CONFIG, ROOT, shown
from lop.runs.parameters import Strict, Whole, checked, read_mapping

MOST_SEEDS = 10  # maximum number of seeds per job; see `lop.plan.jobs`
FIRST_TUNING_SEED = 100  # tuning uses seeds from here on, figures the seeds below


class Comparison(Strict):
    """Methods that are tuned with the same budget, and the criterion for choosing their settings."""

    metric: str = Field(description="metric of the runs that is averaged")
    to: Whole = Field(ge=1, description="last step of the score, where longer runs end")
    bin: Whole | None = Field(None, ge=1, description="width of a bin in steps; the whole run by default")
    window: tuple[float, float] = Field(
        (0.0, 1.0), description="part of the run whose bins are averaged, as fractions of `to`"
    )
    best: Literal["highest", "lowest"] = Field("highest", description="which mean is best")
    seeds: Whole = Field(ge=1, le=1000, description="number of seeds per setting")
    budget: Whole = Field(ge=1, le=10_000, description="number of settings of each method")
    grids: dict[str, dict[str, Any]] = Field(
        min_length=1,
        description="<problem>/<config> -> keys and lists of values, all combinations of which are tried",
    )

    @model_validator(mode="after")
    def _fits(self) -> "Comparison":
        if self.bin and self.to % self.bin:
            raise ValueError(f"key `bin`: found {self.bin}, allowed: a divisor of `to` ({self.to})")
        low, high = self.window
        if not 0 <= low < high <= 1:
            raise ValueError(f"key `window`: found {list(self.window)}, allowed: ascending fractions from 0 to 1")
        width = (self.bin or self.to) / self.to
        if any(abs(end / width - round(end / width)) > 1e-9 for end in self.window):
            raise ValueError(f"key `window`: found {list(self.window)}, allowed: multiples of bin / to ({width:g})")
        return self


class ScaleFile(Strict):
    """Contents of a scale file."""

    runs: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="<problem>/<config>, with the wildcards * and ? -> keys that override the cfg file; later matches "
        "override earlier ones",
    )
    figures: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="figure -> keys that override config/figures.yaml"
    )
    seeds_per_job: dict[str, Annotated[Whole, Field(ge=1, le=MOST_SEEDS)]] = Field(
        default_factory=dict,
        description="<problem>, with the wildcards * and ? -> number of seeds that a job executes in turn (default 1); "
        "later matches override earlier ones",
    )
    original_images: tuple[Literal["mnist", "cifar-100", "imagenet"], ...] = Field(
        (), description="image sets that are the original ones at this scale, unless `data.source` is given"
    )
    tuning: dict[str, Comparison] = Field(
        default_factory=dict, description="name of a comparison -> methods to tune for this scale, and the criterion"
    )


@dataclass(frozen=True)
class Scale:
    """A scale: its file, and either the values that tuning has chosen or the grids and last step of a comparison."""

    file: ScaleFile
    chosen: Mapping[str, Mapping[str, Any]]  # <problem>/<config> -> keys
    grids: Mapping[str, Mapping[str, Any]]
    to: int | None = None

    def overrides(self, problem: str, config: str, below: Sequence[str] = (), tunes: bool = True) -> dict[str, Any]:
        """Return the keys that the file of this scale overrides for a config.

        Args:
            problem: name of the problem.
            config: name of the config.
            below: configs that it extends; patterns that match them are not applied again.
            tunes: whether to include the grid of the config.
        """
        name = f"{problem}/{config}"
        merged: dict[str, Any] = {}
        for pattern, values in self.file.runs.items():
            if fnmatchcase(name, pattern) and not any(fnmatchcase(f"{problem}/{one}", pattern) for one in below):
                merged |= values
        return {**merged, **self.grids.get(name, {})} if tunes else merged

    def seeds_in_job(self, problem: str) -> int:
        """Return the number of seeds of a problem that a job executes in turn."""
        found = [number for pattern, number in self.file.seeds_per_job.items() if fnmatchcase(problem, pattern)]
        return found[-1] if found else 1


def scale_path(name: str) -> Path:
    """Return the file of a scale, or of the scale of a comparison."""
    return CONFIG / "scales" / f"{name.partition('.')[0]}.yaml"


def tuned_path(name: str) -> Path:
    """Return the file with the values that tuning has chosen for a scale."""
    return CONFIG / "tuned" / f"{name}.yaml"


def load_scale(name: str) -> Scale:
    """Return the scale with a given name, `<scale>` or `<scale>.<comparison>`.

    Raises:
        InputError: there is no such scale; the message lists the existing ones.
    """
    base, _, comparison = name.partition(".")
    path = scale_path(name)
    if not (re.fullmatch(r"[\w-]+", base) and path.is_file()):
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise InputError(f"scale: found {name!r}, allowed: {', '.join(known)} (files in {shown(path.parent)})")
    file = checked(ScaleFile, read_mapping(path), shown(path))
    if not comparison:
        return Scale(file, _read_chosen(base, file.tuning), {})
    if comparison not in file.tuning:
        allowed = ", ".join(file.tuning) or "none"
        raise InputError(f"{shown(path)}: tuning: found {comparison!r}, allowed: {allowed}")
    return Scale(file, {}, file.tuning[comparison].grids, file.tuning[comparison].to)


def check_names(name: str) -> None:
    """Check that each pattern in a scale's file matches the name of a problem or config.

    Raises:
        InputError: there is no such scale, or a pattern matches nothing.
    """
    file, folders = load_scale(name).file, sorted(ROOT.glob("lop/*/cfg"))
    names = {
        "runs": [
            f"{folder.parent.name}/{path.relative_to(folder).with_suffix('')}"
            for folder in folders
            for path in folder.rglob("*.yml")
        ],
        "seeds_per_job": [folder.parent.name for folder in folders],
    }
    for key, known in names.items():
        for pattern in getattr(file, key):
            if not any(fnmatchcase(one, pattern) for one in known):
                what = "the <problem>/<config> of cfg files" if key == "runs" else f"problems ({', '.join(known)})"
                where = f"{shown(scale_path(name))}: key `{key}`: found {pattern!r}"
                raise InputError(f"{where}, allowed: {what}, or a pattern for them{hint(pattern, known)}")


class _Tuned(RootModel[dict[str, dict[str, dict[str, Any]]]]):
    """Contents of a file of chosen values: comparison -> <problem>/<config> -> keys."""


def _read_chosen(name: str, tuning: Mapping[str, Comparison]) -> dict[str, dict[str, Any]]:
    """Return the values chosen for the methods that are still listed under `tuning`."""
    path = tuned_path(name)
    if not path.is_file():
        return {}
    try:
        content = _Tuned.model_validate(read_mapping(path)).root
    except ValidationError:
        raise InputError(
            f"{shown(path)}: found other keys, allowed: <comparison>: {{<problem>/<config>: {{...}}}}"
        ) from None
    return {
        runs: values
        for comparison in content.keys() & tuning.keys()
        for runs, values in content[comparison].items()
        if runs in tuning[comparison].grids
    }
