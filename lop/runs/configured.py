"""Validated settings of config/config.yaml; in the workflow, Snakemake reads the file."""

import argparse
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from lop.common.errors import InputError
from lop.common.paths import CONFIG, PROJECT, ROOT, shown
from lop.data.sets import SOURCES, ImageSource
from lop.runs.parameters import Number, Strict, Whole, checked, read_mapping
from lop.runs.scale import check_names, load_scale
from lop.runs.spec import Conditions

Folder = Annotated[str, Field(pattern=r"^[^{}]+$")]  # Snakemake would read braces as wildcards
DEVICE = "[a-z]+(:[0-9]+)?"


class Data(Strict):
    """Images that problems learn from."""

    source: Literal["glyphs", "original"] | None = Field(
        None, description="built-in images (glyphs) or original data sets; null for those that the scale selects"
    )
    folder: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="folder with your copy of the original data sets; null to download them"
    )
    sets: Folder = Field("data", description="folder of all image sets")
    seed: Whole = Field(
        0, ge=0, description="seed of the built-in images, and of the selection from the official ImageNet"
    )


class Config(Strict):
    """Contents of config/config.yaml."""

    scale: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")] = Field(
        "laptop", description="file in config/scales, without its suffix"
    )
    device: Annotated[str, Field(pattern=f"^{DEVICE}$")] = Field(
        "cpu", description="device on which networks are trained, such as cpu or cuda"
    )
    runs_per_gpu: dict[str, Annotated[Whole, Field(ge=1, le=100)]] = Field(
        default_factory=lambda: {"imagenet": 4, "incremental_cifar": 2},
        description="problems that use a GPU if `device` is one, and the number of their runs that share it",
    )
    results: Folder = Field("results", description="folder of all results, relative to the project")
    published: Literal["ask", "train", "draw"] = Field(
        "ask",
        description="what to do if published results are outdated: train, draw them, or stop if training is expensive",
    )
    checkpoint_every: Number = Field(60, gt=0, description="seconds between two checkpoints of a run")
    progress_every: Number = Field(15, gt=0, description="seconds between two progress lines of a run")
    track: Literal["tensorboard", "wandb"] | None = Field(None, description="service that shows live curves of runs")
    data: Data = Field(default_factory=lambda: Data.model_validate({}), description="images that problems learn from")

    @field_validator("runs_per_gpu")
    @classmethod
    def _are_problems(cls, runs: dict[str, int]) -> dict[str, int]:
        if unknown := runs.keys() - set(problem_names()):
            raise ValueError(f"{', '.join(problem_names())} (found {', '.join(sorted(unknown))})")
        return runs

    @property
    def conditions(self) -> Conditions:
        """Images and device that the settings select."""
        return conditions(self.scale, self.device, self.data.source, self.data.seed, tuple(self.runs_per_gpu))


def problem_names() -> list[str]:
    """Return the names of all problems: the packages of the library with a cfg folder."""
    return sorted(folder.parent.name for folder in ROOT.glob("lop/*/cfg"))


def conditions(
    scale: str, device: str, source: str | None, seed: int, gpu_problems: tuple[str, ...] | None = None
) -> Conditions:
    """Return the device and the images of runs.

    Args:
        scale: name of the scale, which selects the source of each set of images unless `source` is given.
        device: device of the runs.
        source: source of all sets of images, or None.
        seed: seed of the images.
        gpu_problems: problems that use the device if it is not the CPU; None for all.

    Raises:
        InputError: there is no such scale or source, the scale's file names no existing problem or config, the seed is
            negative, or the device has no valid name.
    """
    check_names(scale)
    if not re.fullmatch(DEVICE, device):
        raise InputError(f"device: found {device!r}, allowed: a device such as cpu, cuda or cuda:1")
    if source is not None:
        images = ImageSource(source, seed)
    else:
        images = ImageSource(seed=seed, original=load_scale(scale).file.original_images)
    return Conditions(images, device, None if device == "cpu" else gpu_problems)


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
    """Add the options that select runs in a results folder; their defaults come from config/config.yaml."""
    parser.add_argument("--results", type=Path, default=PROJECT / configured().results, help="folder of all results")
    add_conditions(parser)


def add_conditions(parser: argparse.ArgumentParser) -> None:
    """Add the options for the scale, the device and the images of runs."""
    config = configured()
    add = parser.add_argument
    add("--scale", default=config.scale, help="scale of the runs (default: %(default)s)")
    add("--device", default=config.device, help="device of the runs (default: %(default)s)")
    told = "problems that use the device; others use the CPU (default: those of `runs_per_gpu` in the configuration)"
    add("--gpu-problems", type=_names, default=tuple(config.runs_per_gpu), metavar="A,B", help=told)
    add_image_options(parser)


def add_image_options(parser: argparse.ArgumentParser, *, hidden: bool = False) -> None:
    """Add the options that select images; `hidden` ones are not listed by --help."""
    data = configured().data
    told = argparse.SUPPRESS if hidden else None
    usual = data.source or "as the scale selects"
    add = parser.add_argument
    add("--data-source", choices=SOURCES, default=data.source, help=told or f"source of the images (default: {usual})")
    add("--data-seed", type=int, default=data.seed, help=told or "seed of the images (default: %(default)s)")


def conditions_of(options: argparse.Namespace) -> Conditions:
    """Return the conditions given by the options of `add_options`."""
    gpu_problems = getattr(options, "gpu_problems", None)  # a training script uses the device that it is given
    return conditions(options.scale, options.device, options.data_source, options.data_seed, gpu_problems)


def _names(text: str) -> tuple[str, ...]:
    names = tuple(text.split(",")) if text else ()
    if unknown := set(names) - set(problem_names()):
        raise argparse.ArgumentTypeError(f"found {', '.join(sorted(unknown))}, allowed: {', '.join(problem_names())}")
    return names
