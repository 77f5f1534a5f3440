"""Validated settings of config/config.yaml; in the workflow, Snakemake reads the file."""

import argparse
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lop.common.paths import CONFIG, PROJECT, shown
from lop.data.sets import SOURCES, ImageSource
from lop.runs.parameters import Number, Whole, checked, read_mapping
from lop.runs.spec import Conditions

Folder = Annotated[str, Field(pattern=r"^[^{}]+$")]  # Snakemake would read braces as wildcards


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Data(_Model):
    """Images that problems learn from."""

    source: Literal["glyphs", "original"] = Field(
        "glyphs", description="built-in images (glyphs) or original data sets"
    )
    folder: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="folder with your copy of the original data sets; null to download them"
    )
    sets: Folder = Field("data", description="folder of all image sets")
    seed: Whole = Field(
        0, ge=0, description="seed of the built-in images, and of the selection from the official ImageNet"
    )


class Config(_Model):
    """Contents of config/config.yaml."""

    scale: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = Field(
        "laptop", description="file in config/scales, without its suffix"
    )
    device: Annotated[str, Field(pattern=r"^[a-z]+(:[0-9]+)?$")] = Field(
        "cpu", description="device on which networks are trained, such as cpu or cuda"
    )
    results: Folder = Field("results", description="folder of all results, relative to the project")
    checkpoint_every: Number = Field(60, gt=0, description="seconds between two checkpoints of a run")
    progress_every: Number = Field(15, gt=0, description="seconds between two progress lines of a run")
    data: Data = Field(default_factory=lambda: Data.model_validate({}), description="images that problems learn from")

    @property
    def conditions(self) -> Conditions:
        """Images and device that the settings select."""
        return Conditions(ImageSource(self.data.source, self.data.seed), self.device)


def check_config(values: Mapping[str, Any], source: str = "configuration") -> Config:
    """Return the validated settings in `values`.

    Raises:
        InputError: a setting is invalid.
    """
    return checked(Config, values, source)


@cache
def configured() -> Config:
    """Return the validated settings in the project's config/config.yaml, or the defaults if there is no such file.

    Raises:
        InputError: a setting is invalid.
    """
    path = CONFIG / "config.yaml"
    return check_config(read_mapping(path) if path.is_file() else {}, shown(path))


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that select runs; their defaults come from config/config.yaml."""
    config = configured()
    add = parser.add_argument
    add("--scale", default=config.scale, help="scale of the runs (default: %(default)s)")
    add("--results", type=Path, default=PROJECT / config.results, help="folder of all results")
    add("--device", default=config.device, help="device of the runs (default: %(default)s)")
    add("--data-source", choices=SOURCES, default=config.data.source, help="images (default: %(default)s)")
    add("--data-seed", type=int, default=config.data.seed, help="seed of the images (default: %(default)s)")


def conditions_of(options: argparse.Namespace) -> Conditions:
    """Return the conditions given by the options of `add_options`."""
    return Conditions(ImageSource(options.data_source, options.data_seed), options.device)
