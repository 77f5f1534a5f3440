"""Continual ImageNet: one binary classification task after the other, with a convolutional network."""
