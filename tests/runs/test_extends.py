"""Configs that extend others, and the values that tuning has chosen for a scale."""

import pytest
import yaml
from refusals import refusal

from lop.problems import PROBLEMS
from lop.runs import scale as scale_module
from lop.runs.problem import Problem
from lop.runs.spec import Layer, layers, merged, resolve, settings

IMAGENET = PROBLEMS["imagenet"]
TUNING = {"metric": "test_accuracy", "to": 9, "seeds": 2, "budget": 2, "grids": {"imagenet/l2": {"step_size": [1, 2]}}}


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Return a function that writes a file of the configuration."""
    monkeypatch.setattr(scale_module, "CONFIG", tmp_path)

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
        return path

    write("scales/small.yaml", {"runs": {"imagenet/*": {"num_tasks": 9}, "imagenet/l2": {"step_size": 0.5}}})
    return write


def step_size(config, scale="small", setting="default", **more):
    return resolve(IMAGENET, config, 0, scale, setting, **more).parameters.step_size


def test_config_inherits_parameters_and_overrides_of_the_scale(config, tmp_path):
    cfg = config("mine.yml", {"extends": "l2", "weight_decay": 0.1})
    mine, base = (
        resolve(IMAGENET, "mine", 0, "small", cfg=cfg).parameters,
        resolve(IMAGENET, "l2", 0, "small").parameters,
    )
    assert mine == base.model_copy(update={"weight_decay": 0.1})
    assert (mine.step_size, mine.num_tasks) == (0.5, 9)
    assert [layer.source.name for layer in layers(IMAGENET, "mine", "small", cfg)] == [
        *("l2.yml", "small.yaml", "mine.yml")
    ]


def test_own_keys_override_those_of_the_extended_config(config):
    cfg = config("mine.yml", {"extends": "l2", "step_size": [0.1, 0.2]})
    assert step_size("mine", setting="step_size=0.2", cfg=cfg) == 0.2


def test_config_without_changes_requests_the_runs_of_the_config_it_extends(config):
    cfg = config("mine.yml", {"extends": "l2"})
    assert resolve(IMAGENET, "mine", 0, "small", cfg=cfg).path == resolve(IMAGENET, "l2", 0, "small").path


@pytest.mark.parametrize(("base", "facts"), [("l3", ("l3", "l2")), (3, (3, "l2")), (None, (None, "l2"))])
def test_unknown_base_is_rejected(config, base, facts):
    cfg = config("mine.yml", {"extends": base})
    with refusal("mine.yml", "extends", *facts):
        resolve(IMAGENET, "mine", 0, "small", cfg=cfg)


def test_configs_that_extend_one_another_are_rejected(config, tmp_path, monkeypatch):
    for name, base in {"one": "two", "two": "one"}.items():
        config(f"cfg/{name}.yml", {"extends": base})
    monkeypatch.setattr(Problem, "folder", tmp_path)
    with refusal("two.yml", "extends", "one"):
        resolve(IMAGENET, "one", 0, "small")


def test_invalid_inherited_value_names_the_file_that_sets_it(config):
    config("scales/small.yaml", {"runs": {"imagenet/l2": {"step_size": -1}}})
    cfg = config("mine.yml", {"extends": "l2"})
    with refusal("small.yaml", "step_size", -1):
        resolve(IMAGENET, "mine", 0, "small", cfg=cfg)


def test_chosen_values_override_the_scale_and_apply_to_configs_that_extend_theirs(config):
    config("scales/small.yaml", {"runs": {"imagenet/l2": {"step_size": 0.5}}, "tuning": {"fig1c": TUNING}})
    config("tuned/small.yaml", {"fig1c": {"imagenet/l2": {"step_size": 0.25}, "imagenet/bp_5000": {"step_size": 9}}})
    cfg = config("mine.yml", {"extends": "l2"})
    assert step_size("l2") == step_size("mine", cfg=cfg) == 0.25
    assert step_size("bp_5000") == 0.01  # no comparison lists it any more


def test_tuned_config_ignores_the_values_chosen_for_the_config_that_it_extends(config):
    """Otherwise, a figure would use a combination of values that was never tried."""
    grids = {"imagenet/l2": {"step_size": [1, 2]}, "imagenet/snp": {"perturb_scale": [1, 2]}}
    config("scales/small.yaml", {"tuning": {"fig1c": TUNING | {"grids": grids}}})
    chosen = {"imagenet/l2": {"step_size": 2}, "imagenet/mine": {"momentum": 0.5}}
    config("tuned/small.yaml", {"fig1c": chosen})
    cfg = config("mine.yml", {"extends": "l2"})
    assert step_size("mine", cfg=cfg) == 2  # not listed by the comparison
    grids["imagenet/mine"] = {"momentum": [0.5, 0.9]}
    config("scales/small.yaml", {"tuning": {"fig1c": TUNING | {"grids": grids}}})
    tuned = resolve(IMAGENET, "mine", 0, "small", cfg=cfg)
    assert tuned.key == resolve(IMAGENET, "mine", 0, "small.fig1c", "momentum=0.5", cfg=cfg).key
    assert (tuned.parameters.step_size, tuned.parameters.momentum) == (0.03, 0.5)


def test_pattern_that_matches_the_extended_config_is_not_applied_again(config):
    runs = {"imagenet/*": {"num_tasks": 9}, "imagenet/l2": {"num_tasks": 5}, "imagenet/m*": {"momentum": 0.5}}
    config("scales/small.yaml", {"runs": runs})
    p = resolve(IMAGENET, "mine", 0, "small", cfg=config("mine.yml", {"extends": "l2"})).parameters
    assert (p.num_tasks, p.momentum) == (5, 0.5)


CALLBACK = {"callback": "lop.algos.keep_plastic:KeepPlasticCallback"}


def test_settings_of_a_plugin_are_merged_unless_another_plugin_is_selected(config):
    first = config("first.yml", CALLBACK | {"extends": "l2", "callback_settings": {"decay_rate": 0.5, "init": "lecun"}})
    found = merged(
        [*layers(IMAGENET, "first", "small", first), Layer(first, {"callback_settings": {"init": "xavier"}})]
    )
    assert found["callback_settings"] == {"decay_rate": 0.5, "init": "xavier"}
    again = merged([*layers(IMAGENET, "first", "small", first), Layer(first, {"callback": "lop.algos.redo:ReDo"})])
    assert "callback_settings" not in again
    none = resolve(IMAGENET, "first", 0, "small", cfg=first, overrides={"callback": None})
    assert none.key == resolve(IMAGENET, "l2", 0, "small").key


@pytest.mark.parametrize("content", [{"fig1c": {"imagenet/l2": 3}}, {"fig1c": 3}])
def test_malformed_chosen_values_are_rejected(config, content):
    config("tuned/small.yaml", content)
    with refusal("tuned/small.yaml"):
        step_size("l2")


def test_scale_of_a_comparison_has_its_grids_and_no_chosen_values(config):
    config("scales/small.yaml", {"runs": {"imagenet/l2": {"momentum": 0.5}}, "tuning": {"fig1c": TUNING}})
    config("tuned/small.yaml", {"fig1c": {"imagenet/l2": {"step_size": 0.25}}})
    assert list(settings(IMAGENET, "l2", "small.fig1c")) == ["step_size=1", "step_size=2"]
    assert list(settings(IMAGENET, "l2", "small")) == ["default"]
    cfg = config("mine.yml", {"extends": "l2"})
    assert merged(layers(IMAGENET, "mine", "small.fig1c", cfg))["step_size"] == 0.03  # that of the cfg file


@pytest.mark.parametrize(
    ("change", "facts"),
    [
        ({"bin": 2}, ("bin", 2, 9)),
        ({"window": [0.5, 0.5]}, ("window", "[0.5, 0.5]")),
        ({"window": [0.5, 1]}, ("window", "[0.5, 1.0]", 1)),
        ({"window": [0.5, 1], "bin": 3}, ("window", "[0.5, 1.0]", 0.333333)),
        ({"seeds": 0}, ("seeds", 0)),
        ({"best": "middle"}, ("best", "middle")),
        ({"grids": {}}, ("grids",)),
    ],
)
def test_invalid_comparison_is_rejected(config, change, facts):
    config("scales/small.yaml", {"tuning": {"fig1c": TUNING | change}})
    with refusal("small.yaml", "fig1c", *facts):
        step_size("l2")


def test_unknown_comparison_is_rejected(config):
    with refusal("small.yaml", "tuning", "fig1c"):
        step_size("l2", "small.fig1c")
