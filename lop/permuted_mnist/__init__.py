"""Online permuted MNIST: a stream of examples whose pixels are permuted differently in each task."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "permuted_mnist",
    "lop.permuted_mnist.run_mnist",
    "lop.permuted_mnist.parameters:MnistParameters",
    data="mnist",
)
