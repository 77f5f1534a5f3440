"""Continual ImageNet: one binary classification task after the other, with a convolutional network."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "imagenet",
    "lop.imagenet.run_imagenet",
    "lop.imagenet.parameters:ImagenetParameters",
    data="imagenet",
)
