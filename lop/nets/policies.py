"""Gaussian policies for continuous actions."""

from collections.abc import Sequence
from math import log, pi
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from lop._compat import Converted
from lop.nets.activations import activation_named
from lop.nets.initialisation import initialise
from lop.nets.mlp import forward_logged, mlp


class MLPPolicy(Converted, nn.Module):
    """Normal distribution over actions: its mean is a multilayer perceptron, its standard deviation a parameter.

    `mean_net` maps observations (batch, o_dim) to means (batch, a_dim); `log_std` (a_dim,) does not depend on the
    observation. Initialised in the published order: with the same torch seed the weights are the published ones. With
    init `orthogonal`, which most PPO libraries take, the output layer begins near 0 (gain 0.01).

    Example::

        policy = MLPPolicy(o_dim=111, a_dim=8, act_type="ReLU", h_dim=(256, 256), init="lecun")
        action, log_probability = policy.sample(np.zeros(111))
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
    ):
        super().__init__()
        self.act_type = act_type
        self.mean_net = mlp(o_dim, h_dim, a_dim, act_type)
        initialise(self.mean_net, init, act_type, orthogonal_output=0.01)
        self.log_std = nn.Parameter(torch.full((a_dim,), float(log_std)))
        self._activations: list[Tensor] = []
        self._sampler: _Sampler | None = None  # its tensors share memory with the parameters
        self.to(device)

    @property
    def device(self) -> torch.device:
        return self.log_std.device

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_sampler": None}  # a copy makes its own

    def after_conversion(self, buffers: dict[str, Tensor]) -> None:
        """Forget the sampler, whose tensors share memory with the parameters from before."""
        self._sampler = None

    def dist(self, x: Tensor, to_log_features: bool = False) -> Normal:
        """Distribution of actions for observations (batch, o_dim); `get_activations` then has the hidden activations
        if `to_log_features`."""
        mean, hidden = forward_logged(self.mean_net, x.to(self.device))
        if to_log_features:
            self._activations = hidden
        return Normal(mean, self.log_std.exp())

    def get_activations(self) -> list[Tensor]:
        """Hidden activations (batch, units) of the last pass with `to_log_features`, one tensor a layer."""
        return self._activations

    def logp_dist(self, x: Tensor, a: Tensor, to_log_features: bool = False) -> tuple[Tensor, Normal]:
        """Log probability (batch, 1) of actions (batch, a_dim), and the distribution."""
        dist = self.dist(x, to_log_features)
        return dist.log_prob(torch.as_tensor(a, device=self.device)).sum(1, keepdim=True), dist

    @torch.no_grad()
    def action(self, x: Tensor, to_log_features: bool = False) -> tuple[Tensor, Tensor, Normal]:
        """Actions (batch, a_dim) drawn for observations (batch, o_dim), log probabilities (batch, 1), distribution."""
        dist = self.dist(x, to_log_features)
        action = dist.sample()
        return action, dist.log_prob(action).sum(-1, keepdim=True), dist

    def sample(self, observation: np.ndarray, hidden: Sequence[Tensor] | None = None) -> tuple[np.ndarray, float]:
        """An action (a_dim,) for one observation (o_dim,), and its log probability: `action` without its overhead.

        `hidden`, one tensor (units,) a hidden layer, receives the activations.
        """
        if self._sampler is None:
            self._sampler = _Sampler(self)
        return self._sampler(observation, hidden)


class _Sampler:
    """One observation at a time through the policy, on tensors made once. Noise comes from torch's CPU generator."""

    def __init__(self, policy: MLPPolicy):
        layers = [module for module in policy.mean_net if isinstance(module, nn.Linear)]
        self.activation = activation_named(policy.act_type)
        self.weights = [layer.weight.detach() for layer in layers]
        self.biases = [layer.bias.detach() for layer in layers]
        self.log_std = policy.log_std.detach()
        self.device = self.log_std.device
        self.observation = torch.zeros(layers[0].in_features, dtype=self.log_std.dtype)
        self.observation_view = self.observation.numpy()
        self.hidden = [torch.empty_like(bias) for bias in self.biases[:-1]]
        self.log_norm = 0.5 * len(self.log_std) * log(2 * pi)

    def __call__(self, observation: np.ndarray, hidden: Sequence[Tensor] | None) -> tuple[np.ndarray, float]:
        self.observation_view[:] = observation
        h = self.observation.to(self.device)
        for weight, bias, out in zip(self.weights, self.biases, hidden or self.hidden, strict=False):
            h = self.activation.apply_(torch.addmv(bias, weight, h, out=out))
        mean = torch.addmv(self.biases[-1], self.weights[-1], h).cpu()
        log_std = self.log_std.cpu()
        noise = torch.randn(len(log_std), dtype=log_std.dtype)
        action = torch.addcmul(mean, log_std.exp(), noise)
        log_probability = -torch.addcmul(log_std, noise, noise, value=0.5).sum().item() - self.log_norm
        return action.numpy(), log_probability
