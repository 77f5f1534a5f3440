"""Compiled learner of slowly-changing regression."""

import numpy as np

from lop.engines import generator
from lop.engines.online.learner import Layer, OnlineLearner
from lop.engines.online.settings import learner_settings
from lop.nets.numerics import initial_gain
from lop.slowly_changing_regression.parameters import RegressionParameters


def make_learner(p: RegressionParameters, seed: int, device: str) -> OnlineLearner:
    """Create the learner of a run; see `reference.py` beside this file. It always runs on the CPU."""
    rng = generator.seeded(seed)
    return OnlineLearner(initial_network(p, rng), rng, **learner_settings(p), logs=p.logs_while_learning)


def initial_network(p: RegressionParameters, rng: np.ndarray) -> list[Layer]:
    """Return the initial weights and biases of `lop.nets.ffnn.FFNN`, or of `MyLinear`, layer by layer."""
    zeros = np.zeros(1, np.float32)
    if p.agent == "linear":
        generator.built_linear(rng, p.num_inputs, 1)
        return [(generator.kaiming(rng, p.num_inputs, 1, 1.0), zeros)]
    hidden, _ = generator.built_linear(rng, p.num_inputs, p.num_features)
    generator.built_linear(rng, p.num_features, 1)
    if p.hidden_activation != "selu":
        factor = initial_gain("kaiming", p.hidden_activation)
        hidden = generator.kaiming(rng, p.num_inputs, p.num_features, factor)
    return [(hidden, np.zeros(p.num_features, np.float32)), (generator.kaiming(rng, p.num_features, 1, 1.0), zeros)]
