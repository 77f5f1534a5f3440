"""Gaussian policies for continuous actions."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lop.nets.initialisation import initialise
from lop.nets.mlp import Recorder, forward_logged, mlp


class MLPPolicy(Recorder):
    """Normal distribution of actions with a multilayer perceptron for the mean and a learned standard deviation.

    `mean_net` maps observations (batch, o_dim) to means (batch, a_dim). `log_std` (a_dim,) does not depend on the
    observation. Weights are drawn in the same order as in the published code, so that the same PyTorch seed gives the
    published weights.

    Args:
        o_dim: size of an observation.
        a_dim: size of an action.
        act_type: name of the activation.
        h_dim: number of units of each hidden layer.
        log_std: initial logarithm of the standard deviation.
        device: device of the network.
        init: distribution of initial weights; see `lop.nets.initialisation`. With `orthogonal`, the choice of most PPO
            libraries, the gain of the output layer is 0.01.
        bias: whether linear layers have biases.
        std_dev: standard deviation of the initial weights and biases; `init="gaussian"` only.
        output_tanh: apply tanh to the means.

    Example::

        policy = MLPPolicy(o_dim=111, a_dim=8, act_type="ReLU", h_dim=(256, 256), init="lecun")
        actions, log_probabilities, distribution = policy.action(torch.zeros(1, 111))
    """

    def __init__(
        self,
        o_dim: int,
        a_dim: int,
        act_type: str = "Tanh",
        h_dim: Sequence[int] = (50,),
        log_std: float = 0.0,
        device: str = "cpu",
        init: str = "kaiming",
        bias: bool = True,
        std_dev: float = 0.1,
        output_tanh: bool = False,
    ):
        super().__init__()
        self.act_type = act_type
        self.mean_net = mlp(o_dim, h_dim, a_dim, act_type, bias)
        if output_tanh:
            self.mean_net.append(nn.Tanh())
        initialise(self.mean_net, init, act_type, orthogonal_output=0.01, std_dev=std_dev)
        self.log_std = nn.Parameter(torch.full((a_dim,), float(log_std)))
        self.to(device)

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.log_std.device

    def dist(self, x: Tensor, to_log_features: bool = False) -> Normal:
        """Return the distribution of actions.

        Args:
            x: observations (batch, o_dim).
            to_log_features: record the hidden activations for `get_activations`.
        """
        mean, hidden = forward_logged(self.mean_net, x.to(self.device))
        if to_log_features:
            self._activations = hidden
        return Normal(mean, self.log_std.exp(), validate_args=False)

    def logp_dist(self, x: Tensor, a: Tensor, to_log_features: bool = False) -> tuple[Tensor, Normal]:
        """Return log probabilities of actions and the distribution.

        Args:
            x: observations (batch, o_dim).
            a: actions (batch, a_dim).
            to_log_features: record the hidden activations for `get_activations`.

        Returns:
            Log probabilities (batch, 1), and the distribution.
        """
        dist = self.dist(x, to_log_features)
        return dist.log_prob(torch.as_tensor(a, device=self.device)).sum(1, keepdim=True), dist

    @torch.no_grad()
    def action(self, x: Tensor, to_log_features: bool = False) -> tuple[Tensor, Tensor, Normal]:
        """Draw actions.

        Args:
            x: observations (batch, o_dim).
            to_log_features: record the hidden activations for `get_activations`.

        Returns:
            Actions (batch, a_dim), their log probabilities (batch, 1), and the distribution.
        """
        dist = self.dist(x, to_log_features)
        action = dist.sample()
        return action, dist.log_prob(action).sum(-1, keepdim=True), dist

    def dist_to(self, dist: Normal, to_device: str = "cpu") -> Normal:
        """Return a distribution of actions on another device."""
        return Normal(dist.loc.to(to_device), dist.scale.to(to_device), validate_args=False)

    def dist_stack(self, dists: Sequence[Normal], device: str = "cpu") -> Normal:
        """Return the distributions of successive batches as one."""
        loc, scale = torch.cat([dist.loc for dist in dists]), torch.cat([dist.scale for dist in dists])
        return Normal(loc.to(device), scale.to(device), validate_args=False)

    def dist_index(self, dist: Normal, ind: Any) -> Normal:
        """Return the distribution of the actions at indices of the batch."""
        return Normal(dist.loc[ind], dist.scale[ind], validate_args=False)
