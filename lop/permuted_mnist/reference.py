"""PyTorch learner of online permuted MNIST, which supports networks, optimizers and callbacks of your own."""

import torch
from torch import nn

from lop.algos.online import OnlineLearner
from lop.algos.online import make_learner as online_learner
from lop.nets.any_network import create
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.linear import MyLinear
from lop.permuted_mnist.parameters import CLASSES, INPUTS, MnistParameters


def make_learner(p: MnistParameters, seed: int, device: str) -> OnlineLearner:
    """Create the learner of a run.

    Args:
        p: parameters of the run.
        seed: seed of PyTorch's generators, from which initial weights, noise and weights of new units are drawn.
        device: device of the network.
    """
    torch.manual_seed(seed)
    net = make_network(p).to(device)
    return OnlineLearner(online_learner(p, net, "nll"), INPUTS)


def make_network(p: MnistParameters) -> nn.Module:
    """Create the network that the parameters select."""
    if plugin := p.plugin("network"):
        return create(plugin, INPUTS, CLASSES)
    if p.agent == "linear":
        return MyLinear(INPUTS, CLASSES)
    return DeepFFNN(
        INPUTS,
        p.num_features,
        CLASSES,
        p.num_hidden_layers,
        p.hidden_activation,
        p.dropout,
        (p.alpha_forward, p.alpha_backward) if p.online_norm else None,
    )
