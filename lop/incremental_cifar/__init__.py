"""Incremental CIFAR-100: a residual network learns ever more classes (figure 2)."""
