"""Online permuted MNIST: a stream of examples, one at a time, whose pixels are permuted anew from task to task."""

from lop.runs.problem import Problem

PROBLEM = Problem(
    "permuted_mnist",
    "lop.permuted_mnist.run_mnist",
    "lop.permuted_mnist.parameters:MnistParameters",
    data="mnist",
)
