"""Slowly-changing regression: the smallest problem of the paper that shows loss of plasticity."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "slowly_changing_regression",
    "lop.slowly_changing_regression.run_regression",
    "lop.slowly_changing_regression.parameters:RegressionParameters",
)
