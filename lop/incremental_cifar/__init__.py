"""Incremental CIFAR-100 (figure 2): a residual network learns a growing set of classes."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "incremental_cifar",
    "lop.incremental_cifar.run_cifar",
    "lop.incremental_cifar.parameters:CifarParameters",
    data="cifar-100",
)
