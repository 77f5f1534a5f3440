"""Incremental CIFAR-100: a residual network learns ever more classes (figure 2)."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "incremental_cifar",
    "lop.incremental_cifar.run_cifar",
    "lop.incremental_cifar.parameters:CifarParameters",
    data="cifar-100",
)
