"""Estimated duration of runs: a rough model per problem, calibrated with runs recorded on this machine.

The models describe one core of the machine on which docs/costs.md was measured. No run imports them, so changing a
model does not make runs stale.
"""

import platform
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from lop.common.errors import InputError
from lop.problems import PROBLEMS
from lop.runs.metrics import read_about
from lop.runs.spec import RunSpec, metrics_files, seed_folders

MOST_RECORDS = 3  # maximum number of records read per key


class Record(NamedTuple):
    """A run that was executed on this machine."""

    problem: str
    config: str
    parameters: dict[str, Any]  # without the length of the run
    slowness: float  # measured seconds divided by those of the model


class Estimate(NamedTuple):
    """Estimated duration of a run."""

    seconds: float  # on one core
    basis: str  # key of `lop.plan.table.BASES`


def estimate(spec: RunSpec, records: Iterable[Record]) -> Estimate:
    """Estimate the core seconds of a run from the most similar records.

    Args:
        spec: the run.
        records: runs that were executed on this machine.

    Returns:
        The model's estimate times the median slowness of the records with the same parameters, else of those of the
        same config, else of the same problem; without records, the model's estimate.
    """
    seconds = model_seconds(spec.problem.name, spec.parameters)
    same_problem = [record for record in records if record.problem == spec.problem.name]
    same_config = [record for record in same_problem if record.config == spec.config]
    wanted = spec.identity["parameters"]
    same = [record for record in same_problem if record.parameters == wanted]
    for basis, found in {"same parameters": same, "same config": same_config, "same problem": same_problem}.items():
        if found:
            return Estimate(seconds * median(record.slowness for record in found), basis)
    return Estimate(seconds, "model")


def read_records(results: Path) -> list[Record]:
    """Return records of the runs that were executed on this machine on the CPU, a few per key."""
    records = []
    for problem in PROBLEMS:
        for group in sorted(results.glob(f"{problem}/*/*")):
            paths = (path for folder in seed_folders(group) for path in metrics_files(folder))
            records += [record for path in islice(paths, MOST_RECORDS) if (record := _record(path))]
    return records


def _record(path: Path) -> Record | None:
    """Return None if the file is damaged, is from another machine or a GPU, or has parameters that no longer exist."""
    try:
        about = read_about(path)
        origin = about["origin"]
        problem, given = origin["problem"], origin["parameters"]
        model = PROBLEMS[problem].model
        if about["machine"]["node"] != platform.node() or origin["device"] != "cpu":
            return None
        parameters = model.model_construct(**given, **{model.horizon: about["horizon"]})
        slowness = about["seconds"] / model_seconds(problem, parameters)
    except (InputError, KeyError, TypeError, AttributeError):
        return None
    return Record(problem, about["config"], given, slowness)


def model_seconds(problem: str, parameters: Any) -> float:
    """Return the core seconds of a run according to the model of its problem; NaN if there is no model."""
    if problem not in MODELS:
        return np.nan
    seconds = MODELS[problem](parameters)
    on_reference = getattr(parameters, "engine_on", None) and parameters.engine_on("cpu") == "reference"
    return REFERENCES[problem](parameters, seconds) if on_reference else seconds


def _rl(p: Any) -> float:
    step = {"Ant-v3": 288e-6, "SlipperyAnt-v3": 288e-6, "Hopper-v3": 165e-6, "Walker2d-v3": 197e-6}[p.env_name]
    return p.n_steps * step


def _regression(p: Any) -> float:
    smooth = {"relu": 66e-9, "leaky_relu": 66e-9, "tanh": 136e-9}.get(p.hidden_activation, 93e-9)
    example = smooth * max(p.num_features, 1) / 5 * _online_factor(p, adam=5)
    return 0.05 + p.num_data_points * example


def _mnist(p: Any) -> float:
    weights = 784 * p.num_features + (p.num_hidden_layers - 1) * p.num_features**2
    seconds = np.interp(np.log(weights), np.log([1e5, 1e7, 2e8]), [62e-12, 139e-12, 240e-12])  # per weight and example
    return p.num_examples * (2e-6 + weights * float(seconds) * _online_factor(p, adam=10))


def _online_factor(p: Any, adam: float) -> float:
    """Return the time per example relative to plain backpropagation."""
    factor = adam if p.opt == "adam" else 1.0
    factor *= 6 if p.perturb_scale else 1.4 if p.weight_decay else 1
    return factor * (1.15 if p.agent == "cbp" else 1)


def _imagenet(p: Any) -> float:
    images = p.num_classes * p.train_images_per_class
    image = 250e-6 * (p.channels / 32) ** 1.5 * (0.45 if p.precision == "bfloat16" else 1)
    step, image = (3e-4, 2e-6) if p.agent == "linear" else (1.5e-3, image)
    return p.num_tasks * p.num_showings * (images * image + np.ceil(images / p.mini_batch_size) * step)


def _cifar(p: Any) -> float:
    image = 23e-3 * (p.width / 64) ** 1.7 / p.stem_stride**1.5  # for training; testing takes a third
    image *= 0.6 if p.precision == "bfloat16" else 1
    of_class = p.train_images_per_class + (p.validation_images_per_class + p.test_images_per_class) / 3
    update = 5e-3 * p.train_images_per_class / p.mini_batch_size  # in addition to its images, per class
    classes = p.class_increase * p.increments * (p.increments + 1) / 2  # over all increments
    return float(p.class_increase_frequency * classes * (of_class * image + update))


# Core seconds of a run on the reference, given those on the compiled engine, with the overhead of torch's operations.
REFERENCES: dict[str, Callable[[Any, float], float]] = {
    "rl": lambda p, seconds: 2.5 * seconds,
    "slowly_changing_regression": lambda p, seconds: seconds + 300e-6 * p.num_data_points,
    "permuted_mnist": lambda p, seconds: 1.5 * seconds + 400e-6 * p.num_examples,
}
MODELS: dict[str, Callable[[Any], float]] = {
    "rl": _rl,
    "slowly_changing_regression": _regression,
    "permuted_mnist": _mnist,
    "imagenet": _imagenet,
    "incremental_cifar": _cifar,
}
