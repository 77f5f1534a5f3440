"""Published runs are verified by repeating their beginning."""

import pytest

from lop.problems import PROBLEMS
from lop.report.verify import shortened
from lop.runs.spec import resolve


@pytest.mark.parametrize(
    ("problem", "config", "fraction", "horizon"),
    [
        ("rl", "ant/std", 0.01, 100_000),
        ("rl", "sant/cbp", 0.003, 12_500),  # the longest part up to a 333rd that divides the run
        ("permuted_mnist", "best/bp", 0.001, 60_000),  # at least a task
        ("rl", "ant/std", 2.0, 10_000_000),
    ],
)
def test_a_part_of_a_run_has_a_possible_length(problem, config, fraction, horizon):
    spec = resolve(PROBLEMS[problem], config, 0, "day")
    short = shortened(spec, fraction)
    assert short.horizon == horizon
    assert short.parameters.identity("cpu") == spec.parameters.identity("cpu") | {spec.parameters.horizon: horizon}
