"""Online permuted MNIST: a stream of examples, one at a time, whose pixels are permuted anew from task to task."""
