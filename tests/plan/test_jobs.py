"""Seeds per job: the key of scale files, and the division of seeds among jobs."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refusal

from lop.plan.jobs import alone, blocks, seeds_per_job
from lop.problems import PROBLEMS
from lop.runs.scale import check_names, load_scale


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Return a function that writes config/scales/tiny.yaml, the only scale."""
    path = tmp_path / "scales" / "tiny.yaml"
    path.parent.mkdir()
    monkeypatch.setattr("lop.runs.scale.CONFIG", tmp_path)
    return path.write_text


def test_one_seed_per_job_is_the_default(write):
    write("runs: {}")
    assert seeds_per_job("tiny") == dict.fromkeys(PROBLEMS, 1)


def test_later_matches_override_earlier_ones(write):
    write("seeds_per_job: {'*': 2, 'i*': 4, imagenet: 10, rl: '3'}")
    assert seeds_per_job("tiny") == {
        "imagenet": 10,
        "incremental_cifar": 4,
        "permuted_mnist": 2,
        "rl": 3,
        "slowly_changing_regression": 2,
    }
    write("seeds_per_job: {imagenet: 10, '*': 2}")
    assert seeds_per_job("tiny") == dict.fromkeys(PROBLEMS, 2)


@pytest.mark.parametrize("number", [0, 11, -1, 1.5, "many", True])
def test_numbers_outside_the_range_are_refused(write, number):
    write(f"seeds_per_job: {{rl: {number}}}")
    with refusal("tiny.yaml", "seeds_per_job.rl", number):
        load_scale("tiny")


@pytest.mark.parametrize("name", ["imagnet", "rl/ant/*", "x*"])
def test_names_of_no_problem_are_refused(write, name):
    write(f"seeds_per_job: {{'*': 2, {name}: 3}}")
    with refusal("tiny.yaml", "seeds_per_job", name, *PROBLEMS):
        check_names("tiny")


@pytest.mark.parametrize(("name", "near"), [("rl/ants/std", "rl/ant/std"), ("imagnet/*", ""), ("rl", "")])
def test_names_of_no_config_are_refused(write, name, near):
    write("runs: {'*': {}, rl/ant/std: {}, 'rl/*/cbp?': {}}")
    check_names("tiny")
    write(f"runs: {{'*': {{}}, '{name}': {{}}}}")
    with refusal("tiny.yaml", "runs", name, near):
        check_names("tiny")


@pytest.mark.parametrize("scale", ["laptop", "paper"])
def test_only_regression_is_shorter_than_the_start_of_its_process(scale):
    assert {name: n for name, n in seeds_per_job(scale).items() if n > 1} == {"slowly_changing_regression": 10}


def test_blocks_of_last_digits():
    assert blocks(3) == [range(3), range(3, 6), range(6, 9), range(9, 10)]
    assert blocks(10) == [range(10)]


@given(st.integers(1, 10), st.integers(0, 10**6))
def test_every_seed_has_one_job(n, seed):
    (block,) = (block for block in blocks(n) if seed % 10 in block)
    assert len(block) <= n
    assert bool(re.fullmatch(alone(n), str(seed))) == (len(block) == 1)
    assert re.fullmatch(alone(n), f"{seed}-1a2b3c4d")
