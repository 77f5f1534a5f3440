"""Parameters: validation, sweeps and names of settings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy import ToyParameters

from lop.common.errors import InputError
from lop.permuted_mnist.parameters import MnistParameters
from lop.runs.parameters import at, checked, read_mapping, setting_name, settings_of


@pytest.mark.parametrize(
    ("written", "meant"), [("1e8", 100_000_000), (1e6, 1_000_000), ("12", 12), (7, 7), ("5e+7", 50_000_000)]
)
def test_whole_numbers_are_accepted_in_common_notations(written, meant):
    assert checked(ToyParameters, {"n": written}, "x.yml").n == meant


@given(st.integers(1, 10**15))
def test_whole_numbers_are_read_exactly(n):
    assert checked(ToyParameters, {"n": n}, "x.yml").n == n
    assert checked(ToyParameters, {"n": str(n)}, "x.yml").n == n


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 1, "sise": 2}, "x.yml: unknown key `sise`, allowed: n, size, label, widths; did you mean size?"),
        ({}, "x.yml: key `n` is missing"),
        ({"n": "many"}, "x.yml: key `n`: found 'many', allowed: a whole number"),
        ({"n": 1.5}, "x.yml: key `n`: found 1.5, allowed: a whole number"),
        ({"n": True}, "x.yml: key `n`: found True, allowed: a whole number"),
        ({"n": "inf"}, "x.yml: key `n`: found 'inf', allowed: a whole number"),
        ({"n": 0}, "x.yml: key `n`: found 0, allowed: greater than or equal to 1"),
        ({"n": 1, "size": 0}, "x.yml: key `size`: found 0, allowed: greater than 0"),
        ({"n": 1, "size": float("inf")}, "x.yml: key `size`: found inf, allowed: a finite number"),
        ({"n": 1, "widths": 3}, "x.yml: key `widths`: found 3, allowed: a valid list"),
        ({"n": 0, "size": 0}, "x.yml: key `n`: found 0, allowed: greater than or equal to 1 (and 1 more)"),
    ],
)
def test_invalid_values_give_a_one_line_error(values, message):
    with pytest.raises(InputError) as error:
        checked(ToyParameters, values, "x.yml")
    assert str(error.value) == message


def test_error_names_the_source_of_the_key():
    with pytest.raises(InputError, match=r"^command line: key `n`"):
        checked(ToyParameters, {"n": 0}, "x.yml", {"n": "command line"})


@pytest.mark.parametrize(
    ("replaced", "expected"),
    [
        ({}, "x.yml: key `num_examples`"),
        ({"num_examples": "command line", "seed": "scale"}, "command line with x.yml: key `num_examples`"),
        (dict.fromkeys(["num_examples", "change_after"], "scale"), "scale: key `num_examples`"),
    ],
)
def test_error_about_conflicting_keys_names_the_sources_of_both(replaced, expected):
    values = {"num_examples": 1000, "change_after": 2000, "step_size": 0.1}
    with pytest.raises(InputError) as error:
        checked(MnistParameters, values, "x.yml", replaced)
    assert str(error.value).startswith(f"{expected}: found 1000, allowed: a multiple of change_after (2000)")


def test_lists_are_swept():
    cfg = {"n": [1, 2], "size": [0.1, 1e-5], "widths": [3, 4]}
    points = settings_of(ToyParameters, cfg)
    assert [setting_name(p) for p in points] == ["n=1,size=0.1", "n=1,size=1e-05", "n=2,size=0.1", "n=2,size=1e-05"]
    assert [setting_name(p) for p in settings_of(ToyParameters, {"n": 1})] == ["default"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "not valid YAML"),
        ("- 1\n- 2", "found list, allowed: `key: value` lines"),
        ("a: 1\na: 2", "duplicate key 'a'"),
        ("a: !!python/object/apply:os.getcwd []", "not valid YAML"),
    ],
)
def test_files_without_a_mapping_are_rejected(tmp_path, text, message):
    path = tmp_path / "x.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read_mapping(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_error_about_a_missing_file_suggests_a_similar_name(tmp_path):
    (tmp_path / "std.yml").write_text("")
    assert read_mapping(tmp_path / "std.yml") == {}
    with pytest.raises(InputError, match=r"st\.yml: no such file; did you mean std\.yml\?"):
        read_mapping(tmp_path / "st.yml")


class Nested(ToyParameters):
    more: dict[str, float | str] = {}


def test_keys_inside_a_mapping_are_swept():
    cfg = {"n": 3, "more": {"a": ["1e-3", 2.0], "b": "x"}, "size": [1, 0.5]}
    points = settings_of(Nested, cfg)
    assert [setting_name(point) for point in points] == [
        "size=1,a=0.001",
        "size=1,a=2",
        "size=0.5,a=0.001",
        "size=0.5,a=2",
    ]
    assert at(cfg, points[2]) == {"n": 3, "more": {"a": "1e-3", "b": "x"}, "size": 0.5}
    parameters = checked(Nested, at(cfg, points[1]), "x.yml")
    assert (parameters.value("more.a"), parameters.value("size")) == (2.0, 1.0)
    assert settings_of(Nested, {"n": 3, "more": {"a": 1.0}}) == [{}]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1e-3", "0.001"),
        (1e-3, "0.001"),
        (1e8, "100000000"),
        ("1e8", "100000000"),
        ("1e30", "1e+30"),
        (7, "7"),
        (True, "True"),
        ("relu", "relu"),
        (0.1 + 0.2, "0.30000000000000004"),
        ({"a": "1e-3"}, "a=0.001"),
        ("a/b, c", "a_b+c"),
    ],
)
def test_name_of_a_value_does_not_depend_on_its_notation(value, text):
    assert setting_name({"key": value}) == f"key={text}"


def test_long_names_are_shortened_and_remain_unique():
    points = [{f"key_{n}": n + last for n in range(40)} for last in (0, 1)]
    names = [setting_name(point) for point in points]
    assert all(len(name) <= 200 and name.startswith("key_0=") for name in names)
    assert len(set(names)) == 2
    umlauts = setting_name({"key": "ä" * 150})
    assert len(umlauts.encode()) <= 200
