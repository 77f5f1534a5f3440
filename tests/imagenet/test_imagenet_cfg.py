"""The configurations of Continual ImageNet: the published values, and what is refused."""

import pytest

from lop.common.errors import InputError
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
def test_configurations_say_what_the_published_ones_do(config, expected):
    for setting in settings(PROBLEM, config, "paper"):
        found = resolve(PROBLEM, config, 0, "paper", setting).parameters.model_dump()
        assert {key: found[key] for key in COMMON | expected} == COMMON | expected


def test_these_are_all_and_the_step_sizes_are_swept():
    assert set(PROBLEM.configs()) == set(PUBLISHED) | set(OURS)
    for config in ("bp", "linear"):
        assert set(settings(PROBLEM, config, "paper")) == {f"step_size={size}" for size in ("0.01", "0.001", "0.0001")}
        assert read_mapping(PROBLEM.cfg_path(config))["step_size"] == [0.01, 0.001, 0.0001]


def test_a_run_names_the_classes_it_learns_from():
    p = ImagenetParameters(num_tasks=3, total_classes=10, step_size=0.1)
    classes = p.classes(seed=4)
    assert classes == sorted(set(classes))
    assert len(classes) == 6
    assert set(classes) < set(range(10))
    assert ImagenetParameters(num_tasks=30, total_classes=10, step_size=0.1).classes(seed=4) == list(range(10))


@pytest.mark.parametrize(
    ("config", "overrides", "message"),
    [
        ("l2", {"total_classes": 1001}, "key `total_classes`: found 1001, allowed: less than or equal to 1000"),
        (
            "l2",
            {"total_classes": 4, "num_classes": 5},
            r"key `num_classes`: found 5, allowed: up to total",
        ),
        ("l2", {"train_images_per_class": 601}, "key `train_images_per_class`: found 601"),
        ("l2", {"net_type": 2}, "key `net_type`: found 2, allowed: 1 with agent: bp"),
        (
            "cbp2",
            {"clear_optimizer_state": True},
            "key `clear_optimizer_state`: found True, allowed: false with",
        ),
        ("cbp2", {"move_mean_to_bias": True}, "key `move_mean_to_bias`: found True, allowed: false with net_type: 2"),
        ("cbp", {"perturb_scale": 0.1}, "key `perturb_scale`: found 0.1, allowed: 0 with agent: cbp"),
        ("cbp", {"precision": "float16"}, "key `precision`: found 'float16', allowed: 'float32' or 'bfloat16'"),
        ("cbp", {"num_epochs": 3}, "unknown key `num_epochs`"),
    ],
)
def test_impossible_parameters_are_told(config, overrides, message):
    with pytest.raises(InputError, match=message):
        resolve(PROBLEM, config, 0, "paper", overrides=overrides)
