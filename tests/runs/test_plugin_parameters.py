"""Keys that select a callback are checked against the source of its class."""

import pytest
from refusals import refusal

from lop.common import sources
from lop.common.errors import InputError
from lop.problems import PROBLEMS
from lop.runs.parameters import checked
from lop.runs.plugin_parameters import PluginParameters

SHIPPED = "lop.algos.redo:ReDo"  # any class: its type is only checked when a run creates it


def test_no_callback_adds_no_code():
    parameters = checked(PluginParameters, {}, "x.yml")
    assert (parameters.callback, parameters.callback_settings, parameters.modules("cpu")) == (None, {}, ())


def test_module_of_a_callback_is_part_of_the_code_of_a_run():
    settings = {"hidden_activation": "relu", "threshold": "1e-3", "reset_period": 5, "init": "lecun"}
    parameters = checked(PluginParameters, {"callback": SHIPPED, "callback_settings": settings}, "x.yml")
    assert parameters.modules("cpu") == ("lop.algos.redo",)
    assert parameters.callback_settings == settings | {"threshold": 0.001}
    assert type(parameters.callback_settings["reset_period"]) is int


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            {"callback": "torch:Tensor"},
            "found 'torch:Tensor', allowed: <module>:<class>",
        ),
        ({"callback": "lop.algos.no:No"}, "of an existing module, which lop.algos.no is not"),
        ({"callback": "lop.algos.redo:Redo"}, "allowed: a class of lop.algos.redo: ReDo"),
        ({"callback": 3}, "key `callback`: found 3, allowed: a valid string"),
        ({"callback": SHIPPED}, "found {}, allowed: with hidden_activation, which lop.algos.redo:ReDo needs"),
        ({"callback": SHIPPED, "callback_settings": {"power": 1}}, "lop.algos.redo:ReDo: clear_optimizer_state, "),
        ({"callback_settings": {"threshold": 1}}, "found {'threshold': 1}, allowed: none without `callback`"),
        ({"callback": "lop.runs.spec:RunSpec"}, "allowed: a module outside lop.common and lop.runs"),
        (
            {"callback": SHIPPED, "callback_settings": {"threshold": float("nan")}},
            "found nan, allowed: a finite number",
        ),
        (
            {"callback": SHIPPED, "callback_settings": {"threshold": [1]}},
            "key `callback_settings.threshold`: found [1], allowed: a number, a word, true or false",
        ),
    ],
)
def test_invalid_values_give_a_one_line_error(values, expected):
    with pytest.raises(InputError) as error:
        checked(PluginParameters, values, "x.yml")
    assert str(error.value).startswith("x.yml: key `callback")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


CLASSES = """
class Base:
    def __init__(self, net, strength, power=2): ...

class Inherits(Base): ...

class PositionalOnly:
    def __init__(self, net, /, strength): ...

class Anything:
    def __init__(self, net, strength, **more): ...

class WithoutStepSize:
    def __init__(self, params, decay=0.9): ...
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that writes lop/mine.py in a copy of the library without any other module."""
    (tmp_path / "lop").mkdir()
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return (tmp_path / "lop/mine.py").write_text


@pytest.mark.parametrize(
    ("kind", "settings", "expected"),
    [
        ("Inherits", {"strength": 1}, ""),
        ("Inherits", {"length": 1}, ""),  # reported when the callback is created
        ("PositionalOnly", {"strength": 1}, ""),
        ("PositionalOnly", {}, "with strength, which lop.mine:PositionalOnly needs"),
        ("PositionalOnly", {"net": 1}, "settings of lop.mine:PositionalOnly: strength"),
        ("Anything", {"strength": 1, "power": 2}, ""),
        ("Anything", {"power": 2}, "with strength, which lop.mine:Anything needs"),
    ],
)
def test_settings_are_checked_against_the_constructor(own, kind, settings, expected):
    own(CLASSES)
    values = {"callback": f"lop.mine:{kind}", "callback_settings": settings}
    if not expected:
        assert checked(PluginParameters, values, "x.yml").callback_settings == settings
        return
    with pytest.raises(InputError) as error:
        checked(PluginParameters, values, "x.yml")
    assert expected in str(error.value)


def test_module_with_a_syntax_error_is_refused_with_the_line(own):
    own("class Mine:\n    def")
    with refusal("x.yml", "callback", "lop.mine:Mine", "line 2"):
        checked(PluginParameters, {"callback": "lop.mine:Mine"}, "x.yml")


def test_optimizer_must_accept_a_step_size(own):
    own(CLASSES)
    with refusal("x.yml", "optimizer_settings", "lr", "lop.mine:WithoutStepSize"):
        checked(PluginParameters, {"optimizer": "lop.mine:WithoutStepSize"}, "x.yml")


OPTIMIZER = "lop.algos.adam:AdamGnT"


def problem(name, **values):
    cfg = {
        "rl": {"env_name": "Ant-v3", "n_steps": 1},
        "imagenet": {"num_tasks": 1, "step_size": 0.1},
        "permuted_mnist": {"num_examples": 1000, "change_after": 1000, "step_size": 0.1},
    }
    return checked(PROBLEMS[name].model, cfg[name] | values, "x.yml")


def test_step_size_is_the_only_source_of_lr():
    p = problem("imagenet", optimizer=OPTIMIZER)
    assert p.plugin("optimizer").always == {"lr": 0.1}
    for optimizer in (OPTIMIZER, "lop.algos.eager:SGD"):  # the latter inherits its `__init__`
        with refusal("x.yml", "optimizer_settings", "lr", "step_size"):
            problem("imagenet", optimizer=optimizer, optimizer_settings={"lr": 1})


@pytest.mark.parametrize(
    ("name", "values", "key"),
    [
        ("imagenet", {"optimizer": OPTIMIZER, "momentum": 0.9}, "momentum"),
        ("imagenet", {"optimizer": OPTIMIZER, "beta_1": 0.5}, "beta_1"),
        ("imagenet", {"network": "lop.nets.conv_net:ConvNet", "agent": "cbp"}, "agent"),
        ("rl", {"optimizer": OPTIMIZER, "eps": 1e-5}, "eps"),
        ("rl", {"network": "lop.nets.ffnn:FFNN", "redo": True}, "redo"),
        ("permuted_mnist", {"network": "lop.nets.bfloat16:Bfloat16", "agent": "cbp"}, "agent"),
    ],
)
def test_parameters_of_what_a_plugin_replaces_are_refused(name, values, key):
    with refusal("x.yml", key):
        problem(name, **values)


@pytest.mark.parametrize(
    ("name", "values", "key"),
    [
        ("rl", {"h_dim": [8, 8, 8]}, "h_dim"),
        ("permuted_mnist", {"optimizer": OPTIMIZER}, "optimizer"),
    ],
)
def test_compiled_engine_is_refused_with_the_key_that_it_does_not_support(name, values, key):
    assert problem(name, **values).engine_on("cpu") == "reference"
    with refusal("x.yml", "engine", "compiled", key, "auto", "reference"):
        problem(name, **values, engine="compiled")


def test_parameters_of_the_replaced_network_are_not_part_of_the_identity():
    identities = [problem("imagenet", network="lop.nets.bfloat16:Bfloat16", channels=n).identity("cpu") for n in (8, 9)]
    assert identities[0] == identities[1]
    assert problem("imagenet", channels=8).identity("cpu") != problem("imagenet", channels=9).identity("cpu")


def test_parameters_that_may_fill_an_inherited_constructor_are_part_of_the_identity(own):
    own(
        "class Takes:\n    def __init__(self, inputs, outputs, channels): ...\n"
        "class Inherits(Takes): ...\n"
        "class Fixed:\n    def __init__(self, inputs, outputs, channels=8): ...\n"
    )
    for name, matters in {"Takes": True, "Inherits": True, "Fixed": False}.items():
        few, many = (problem("imagenet", network=f"lop.mine:{name}", channels=n).identity("cpu") for n in (8, 9))
        assert (few != many) == matters, name
