"""Resources that jobs request from a scheduler, from config/resources.yaml and the models of `lop.plan.costs`."""

from collections.abc import Mapping
from functools import cache
from math import ceil, isnan
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, model_validator

from lop.common.paths import CONFIG, shown
from lop.plan.costs import model_seconds
from lop.problems import PROBLEMS
from lop.runs.parameters import Number, Strict, Whole, checked, read_mapping
from lop.runs.spec import RunSpec

RESOURCES = CONFIG / "resources.yaml"


class Resources(NamedTuple):
    """Resources of one job."""

    mem_mb: int  # megabytes
    runtime: int  # minutes
    gpu: int  # number of GPUs
    gpu_percent: int  # percentage of a GPU


class Needs(Strict):
    """Entry of a problem in config/resources.yaml."""

    mem_mb: Whole = Field(ge=1, description="memory in megabytes")
    slack: Number = Field(3.0, ge=1, description="time limit as a multiple of the model's estimate")


class Table(Strict):
    """Contents of config/resources.yaml."""

    shortest: Whole = Field(ge=1, description="minimum time limit in minutes")
    longest: Whole = Field(ge=1, description="maximum time limit in minutes")
    runs: dict[str, Needs] = Field(description="resources per problem")

    @model_validator(mode="after")
    def _fits(self) -> "Table":
        if self.longest < self.shortest:
            raise ValueError(f"key `longest`: found {self.longest}, allowed: from `shortest` ({self.shortest}) on")
        if self.runs.keys() != PROBLEMS.keys():
            raise ValueError(f"key `runs`: found {', '.join(self.runs)}, allowed: each of {', '.join(PROBLEMS)}")
        return self


@cache
def read_resources(path: Path = RESOURCES) -> Table:
    """Return the validated table.

    Raises:
        InputError: the file is missing or invalid.
    """
    return checked(Table, read_mapping(path), shown(path))


def resources(
    spec: RunSpec, runs_per_gpu: Mapping[str, int] | None = None, seeds: int = 1, path: Path = RESOURCES
) -> Resources:
    """Return the resources of a job that executes one or more seeds of a run in turn.

    A run that takes longer than the limit saves its state before the limit, requeues its job and continues; see
    `lop.runs.scheduler`.

    Args:
        spec: the run.
        runs_per_gpu: {problem: number of runs that share a GPU}, 1 by default.
        seeds: number of seeds.
        path: file with the table of resources.

    Raises:
        InputError: the file is missing or invalid.
    """
    table = read_resources(path)
    needs = table.runs[spec.problem.name]
    minutes = seeds * needs.slack * model_seconds(spec.problem.name, spec.parameters) / 60
    known = not isnan(minutes)  # only if the problem has a model
    runtime = min(table.longest, max(table.shortest, round(minutes))) if known else table.longest
    if spec.conditions.device_kind != "cuda":
        return Resources(needs.mem_mb, runtime, 0, 0)
    share = ceil(100 / (runs_per_gpu or {}).get(spec.problem.name, 1))
    return Resources(needs.mem_mb, runtime, 1, share)
