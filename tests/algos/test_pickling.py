"""Pickles and copies of learners, units and layers continue training with identical results."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import nn

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.algos.convCBP import ConvCBP
from lop.algos.convGnT import ConvGnT
from lop.algos.cuda_graphs import GraphedStep
from lop.algos.gnt import GnT
from lop.algos.redo import ReDo
from lop.algos.res_gnt import ResGnT
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPO
from lop.nets.conv_net import ConvNet
from lop.nets.conv_net2 import ConvNet2
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.policies import MLPPolicy
from lop.nets.torchvision_modified_resnet import build_resnet18
from lop.nets.valuefs import MLPVF

REPLACING = {"replacement_rate": 0.2, "maturity_threshold": 1}
IMAGES, VECTORS = (3, 32, 32), (10,)


class Learning:
    """Learner of classes with random inputs of a given shape."""

    def __init__(self, learner, shape):
        self.learner, self.shape, self.net = learner, shape, learner.net

    def step(self):
        self.learner.learn(torch.randn(4, *self.shape), torch.randint(0, 2, (4,)))


class Replacing:
    """Network, optimizer and replacement of units, in one object."""

    def __init__(self, net, make, shape):
        self.net, self.shape = net, shape
        self.optimizer = torch.optim.Adam(net.parameters(), 0.01)
        self.units = make and make(net, self.optimizer)

    def step(self):
        output, features = self.net.predict(torch.randn(4, *self.shape))
        self.optimizer.zero_grad()
        output.square().mean().backward()
        self.optimizer.step()
        if self.units:
            self.units.replace_units([h.detach() for h in features])


class Acting:
    """PPO with random transitions."""

    def __init__(self, **settings):
        policy, value = MLPPolicy(4, 2, "ReLU", (8, 8)), MLPVF(4, "ReLU", (8, 8))
        self.net = nn.ModuleList([policy, value])
        self.learner = PPO(policy, Buffer(4, 2, 8), 0.01, 0.9, value, 0.9, torch.optim.Adam, n_slices=2, **settings)

    def step(self):
        for _ in range(8):
            o, a, r, op, log_probability = (torch.randn(n).numpy() for n in (4, 2, 1, 4, 1))
            self.learner.log_update(o, a, r.item(), op, log_probability)


def fully_connected():
    return DeepFFNN(10, 12, 2, 2)


CASES = {
    "Backprop": lambda: Learning(Backprop(fully_connected(), loss="nll", momentum=0.9, to_perturb=True), VECTORS),
    "Backprop, Adam": lambda: Learning(Backprop(fully_connected(), loss="nll", opt="adam"), VECTORS),
    "Backprop, AdamW": lambda: Learning(Backprop(fully_connected(), loss="nll", opt="adamW"), VECTORS),
    "ContinualBackprop": lambda: Learning(ContinualBackprop(fully_connected(), loss="nll", **REPLACING), VECTORS),
    "ContinualBackprop, Adam": lambda: Learning(
        ContinualBackprop(fully_connected(), loss="nll", opt="adam", **REPLACING), VECTORS
    ),
    "ConvCBP": lambda: Learning(ConvCBP(ConvNet(channels=2), loss="nll", **REPLACING), IMAGES),
    "GnT": lambda: Replacing(
        fully_connected(),
        lambda net, opt: GnT(net.layers, "relu", opt, clear_optimizer_state=True, **REPLACING),
        VECTORS,
    ),
    "ConvGnT": lambda: Replacing(
        ConvNet(channels=2),
        lambda net, opt: ConvGnT(net.layers, "relu", opt, clear_optimizer_state=True, **REPLACING),
        IMAGES,
    ),
    "ResGnT": lambda: Replacing(
        build_resnet18(2, nn.BatchNorm2d, width=2), lambda net, opt: ResGnT(net, "relu", **REPLACING), IMAGES
    ),
    "ReDo": lambda: Replacing(
        fully_connected(), lambda net, opt: ReDo(net.layers, "relu", threshold=0.9, reset_period=2, opt=opt), VECTORS
    ),
    "CBPLinear and CBPConv": lambda: Replacing(ConvNet2(channels=2, **REPLACING), None, IMAGES),
    "PPO": lambda: Acting(rng=np.random.default_rng(0)),
    "PPO, global generator": lambda: Acting(),
    "PPO with continual backpropagation": lambda: Acting(pgnt=True, vgnt=True, mt=1, replacement_rate=0.2),
    "PPO with ReDo": lambda: Acting(pgnt=True, vgnt=True, redo=True, threshold=0.5, reset_period=3),
}


@pytest.mark.parametrize("copied", [lambda x: pickle.loads(pickle.dumps(x)), deepcopy], ids=["pickled", "copied"])
@pytest.mark.parametrize("case", CASES)
def test_copies_continue_with_identical_results(case, copied):
    torch.manual_seed(0)
    training = CASES[case]()
    for _ in range(3):
        training.step()
    copy = copied(training)
    before = [p.detach().clone() for p in copy.net.parameters()]
    for one in (training, copy):
        torch.manual_seed(1)
        np.random.seed(1)  # noqa: NPY002
        for _ in range(4):
            one.step()
    for found, expected in zip(copy.net.parameters(), training.net.parameters(), strict=True):
        assert torch.equal(found, expected)
    assert not any(torch.equal(p, old) for p, old in zip(copy.net.parameters(), before, strict=True) if p.ndim > 1)


def test_copies_of_a_learner_contain_no_cuda_graphs():
    learner = Backprop(fully_connected(), loss="nll")
    learner._graphed = GraphedStep(learner._descend, learner.opt)
    for copy in (pickle.loads(pickle.dumps(learner)), deepcopy(learner)):
        assert copy._graphed is None
        copy.learn(torch.randn(4, 10), torch.randint(0, 2, (4,)))
    assert learner._graphed is not None
