"""Continual ImageNet: a convolutional network learns a sequence of binary classification tasks."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "imagenet",
    "lop.imagenet.run_imagenet",
    "lop.imagenet.parameters:ImagenetParameters",
    data="imagenet",
)
