"""PyTorch learner of slowly-changing regression, which supports networks, optimizers and callbacks of your own."""

import torch
from torch import nn

from lop.algos.online import OnlineLearner
from lop.algos.online import make_learner as online_learner
from lop.nets.any_network import create
from lop.nets.ffnn import FFNN
from lop.nets.linear import MyLinear
from lop.slowly_changing_regression.parameters import RegressionParameters


def make_learner(p: RegressionParameters, seed: int, device: str) -> OnlineLearner:
    """Create the learner of a run.

    Args:
        p: parameters of the run.
        seed: seed of PyTorch's generators, from which initial weights, noise and weights of new units are drawn.
        device: device of the network.
    """
    torch.manual_seed(seed)
    net = make_network(p).to(device)
    return OnlineLearner(online_learner(p, net, "mse"), p.num_inputs, p.logs_while_learning)


def make_network(p: RegressionParameters) -> nn.Module:
    """Create the network that the parameters select."""
    if plugin := p.plugin("network"):
        return create(plugin, p.num_inputs, 1)
    if p.agent == "linear":
        return MyLinear(p.num_inputs)
    return FFNN(p.num_inputs, p.num_features, 1, p.hidden_activation)
