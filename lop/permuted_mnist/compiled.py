"""Compiled learner of online permuted MNIST."""

from itertools import pairwise

import numpy as np

from lop.engines import generator
from lop.engines.online.learner import Layer, OnlineLearner
from lop.engines.online.settings import learner_settings
from lop.nets.numerics import initial_gain
from lop.permuted_mnist.parameters import CLASSES, INPUTS, MnistParameters


def make_learner(p: MnistParameters, seed: int, device: str) -> OnlineLearner:
    """Create the learner of a run; see `lop.permuted_mnist.reference`. It always runs on the CPU."""
    rng = generator.seeded(seed)
    return OnlineLearner(
        initial_network(p, rng),
        rng,
        loss="nll",
        dropout=p.dropout,
        online_norm=(p.alpha_forward, p.alpha_backward) if p.online_norm else None,
        **learner_settings(p),
    )


def initial_network(p: MnistParameters, rng: np.ndarray) -> list[Layer]:
    """Return the initial weights and biases of `lop.nets.deep_ffnn.DeepFFNN`, or of `MyLinear`, layer by layer."""
    hidden = [] if p.agent == "linear" else [p.num_features] * p.num_hidden_layers
    network: list[Layer] = []
    factor = initial_gain("kaiming", p.hidden_activation)
    for layer, (inputs, outputs) in enumerate(pairwise([INPUTS, *hidden, CLASSES])):
        generator.built_linear(rng, inputs, outputs)
        weights = generator.kaiming(rng, inputs, outputs, factor if layer < len(hidden) else 1.0)
        network.append((weights, np.zeros(outputs, np.float32)))
    return network
