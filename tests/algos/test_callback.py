"""User-defined callbacks in each learner that accepts them."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lop.algos.bp import Backprop
from lop.algos.callback import Callback
from lop.algos.cbp import ContinualBackprop
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPO
from lop.nets.conv_net import ConvNet
from lop.nets.ffnn import FFNN
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF


class Frozen(Callback):
    """Callback that counts steps and zeroes all gradients after the allowed number of steps."""

    def __init__(self, net: nn.Module, allowed: int = 0):
        super().__init__(net)
        if allowed < 0:
            raise ValueError(f"allowed must be non-negative, got {allowed}")
        self.allowed, self.steps, self.seen = allowed, 0, []

    def before_step(self):
        if self.steps >= self.allowed:
            for parameter in self.net.parameters():
                parameter.grad.zero_()

    def after_step(self, hidden):
        self.steps += 1
        self.seen = [tuple(h.shape) for h in hidden]

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state):
        self.steps = state["steps"]


def weights(net):
    return torch.cat([parameter.detach().flatten().clone() for parameter in net.parameters()])


@pytest.mark.parametrize("learner", [Backprop, ContinualBackprop])
def test_callback_can_change_gradients(learner):
    net = FFNN(20, num_features=5)
    callback = Frozen(net, allowed=1)
    learner = learner(net, step_size=0.01, callback=callback)
    before = weights(net)
    learner.learn(torch.randn(4, 20), torch.randn(4, 1))
    after = weights(net)
    assert not torch.equal(before, after)
    learner.learn(torch.randn(4, 20), torch.randn(4, 1))
    assert torch.equal(after, weights(net))
    assert (callback.steps, callback.seen) == (2, [(4, 5)])


def test_callback_receives_all_hidden_layers_of_a_convolutional_network():
    net = ConvNet(2, 4)
    callback = Frozen(net)
    Backprop(net, loss="nll", callback=callback).learn(torch.randn(3, 3, 32, 32), torch.tensor([0, 1, 0]))
    assert len(callback.seen) == 5
    assert all(shape[0] == 3 for shape in callback.seen)


def ppo(callback):
    torch.manual_seed(0)
    policy, value = MLPPolicy(3, 2, act_type="ReLU", h_dim=[4]), MLPVF(3, act_type="ReLU", h_dim=[4])
    rng = np.random.default_rng(0)
    learner = PPO(
        policy,
        Buffer(3, 2, 8),
        1e-2,
        0.9,
        value,
        0.9,
        torch.optim.Adam,
        n_itrs=1,
        n_slices=2,
        rng=rng,
        callback=callback,
    )
    for _ in range(8):
        o, op, a = rng.normal(size=3), rng.normal(size=3), rng.normal(size=2)
        metrics = learner.log_update(o, a, rng.normal(), op, -1.0, None, False)
    assert metrics["learned"]
    return learner


def test_ppo_has_one_callback_per_network():
    learner = ppo(Frozen)
    torch.manual_seed(0)
    untouched = MLPPolicy(3, 2, act_type="ReLU", h_dim=[4])
    assert torch.equal(weights(learner.pol.mean_net), weights(untouched.mean_net))
    assert [(callback.steps, callback.seen) for callback in learner.callbacks] == [(2, [(4, 4)])] * 2
    other = ppo(partial(Frozen, allowed=5))
    assert not torch.equal(weights(other.pol.mean_net), weights(untouched.mean_net))
    other.callbacks[0].steps = 9
    other.load_state_dict(learner.state_dict())
    assert other.callbacks[0].steps == 2
