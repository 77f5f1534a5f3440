"""Slowly-changing regression: the paper's smallest demonstration that plasticity is lost."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "slowly_changing_regression",
    "lop.slowly_changing_regression.run_regression",
    "lop.slowly_changing_regression.parameters:RegressionParameters",
)
