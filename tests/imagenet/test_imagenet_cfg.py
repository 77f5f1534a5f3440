"""Configs of Continual ImageNet: published values and invalid parameters."""

import pytest
from refusals import refusal

from lop.imagenet.parameters import ImagenetParameters
from lop.problems import PROBLEMS
from lop.runs.parameters import read_mapping
from lop.runs.spec import resolve, settings

PROBLEM = PROBLEMS["imagenet"]
COMMON = {
    "num_classes": 2,
    "num_showings": 250,
    "mini_batch_size": 100,
    "total_classes": 1000,
    "train_images_per_class": 600,
    "test_images_per_class": 100,
    "new_heads": True,
    "opt": "sgd",
    "momentum": 0.9,
    "precision": "float32",
}
BP = {"agent": "bp", "weight_decay": 0, "perturb_scale": 0}
CBP = {"agent": "cbp", "step_size": 0.01, "replacement_rate": 3e-4, "maturity_threshold": 100, "weight_decay": 0}
PUBLISHED = {
    "bp": {**BP, "num_tasks": 2000},
    "l2": {**BP, "num_tasks": 5000, "step_size": 0.03, "weight_decay": 3e-6},
    "snp": {**BP, "num_tasks": 5000, "step_size": 0.01, "weight_decay": 1e-5, "perturb_scale": 1e-5},
    "cbp": {**CBP, "num_tasks": 5000, "net_type": 1, "util_type": "adaptable_contribution", "decay_rate": 0.99},
    "cbp2": {**CBP, "num_tasks": 5000, "net_type": 2, "util_type": "contribution", "decay_rate": 0},
}
OURS = {
    "bp_5000": {**BP, "num_tasks": 5000, "step_size": 0.01},
    "linear": {**BP, "agent": "linear", "num_tasks": 500},
}


@pytest.mark.parametrize(("config", "expected"), [*PUBLISHED.items(), *OURS.items()])
def test_configs_have_the_published_values(config, expected):
    for setting in settings(PROBLEM, config, "paper"):
        found = resolve(PROBLEM, config, 0, "paper", setting).parameters.model_dump()
        assert {key: found[key] for key in COMMON | expected} == COMMON | expected


def test_all_configs_are_tested_and_step_sizes_are_swept():
    assert set(PROBLEM.configs()) == set(PUBLISHED) | set(OURS)
    for config in ("bp", "linear"):
        assert set(settings(PROBLEM, config, "paper")) == {f"step_size={size}" for size in ("0.01", "0.001", "0.0001")}
        assert read_mapping(PROBLEM.cfg_path(config))["step_size"] == [0.01, 0.001, 0.0001]


def test_run_lists_the_classes_of_its_tasks():
    p = ImagenetParameters(num_tasks=3, total_classes=10, step_size=0.1)
    classes = p.classes(seed=4)
    assert classes == sorted(set(classes))
    assert len(classes) == 6
    assert set(classes) < set(range(10))
    assert ImagenetParameters(num_tasks=30, total_classes=10, step_size=0.1).classes(seed=4) == list(range(10))


@pytest.mark.parametrize(
    ("config", "overrides", "facts"),
    [
        ("l2", {"total_classes": 1001}, ("total_classes", 1001, 1000)),
        ("l2", {"total_classes": 4, "num_classes": 5}, ("num_classes", 5, "total_classes", 4)),
        ("l2", {"train_images_per_class": 601}, ("train_images_per_class", 601, 600)),
        ("l2", {"net_type": 2}, ("net_type", 2, 1, "agent", "bp")),
        ("cbp2", {"clear_optimizer_state": True}, ("clear_optimizer_state", "net_type", 2)),
        ("cbp2", {"move_mean_to_bias": True}, ("move_mean_to_bias", "net_type", 2)),
        ("cbp", {"perturb_scale": 0.1}, ("perturb_scale", 0.1, 0, "agent", "cbp")),
        ("cbp", {"precision": "float16"}, ("precision", "float16", "float32", "bfloat16")),
        ("cbp", {"num_epochs": 3}, ("num_epochs", "num_tasks")),
    ],
)
def test_invalid_parameters_are_rejected(config, overrides, facts):
    with refusal(*facts):
        resolve(PROBLEM, config, 0, "paper", overrides=overrides)
