"""PPO agent in PyTorch: a policy, a value network and their learner.

`lop.engines.ppo.agent` is a compiled agent with the same interface.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lop.algos import eager
from lop.algos.callback import Callback
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPOLearner
from lop.algos.rl.settings import NetworkSettings, PPOSettings
from lop.common.plugins import Plugin
from lop.nets.any_network import create
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF


class Agent:
    """Gaussian policy and value function, trained by PPO with Adam.

    Args:
        o_dim: size of an observation.
        a_dim: size of an action.
        network: settings of both networks.
        settings: settings of PPO.
        seed: seed of PyTorch's generators, from which initial weights, actions and weights of new units are drawn.
        rng: generator that shuffles minibatches.
        device: device of the networks.
        plugins: user-defined `callback`, `network` and `optimizer`. Callback and network are created once for each of
            the two networks.
    """

    def __init__(
        self,
        o_dim: int,
        a_dim: int,
        network: NetworkSettings,
        settings: PPOSettings,
        seed: int,
        rng: np.random.Generator,
        device: str = "cpu",
        plugins: Mapping[str, Plugin | None] = MappingProxyType({}),
    ):
        torch.manual_seed(seed)
        common: dict[str, Any] = {"act_type": network.activation, "h_dim": network.hidden, "init": network.init}
        self.policy = MLPPolicy(o_dim, a_dim, device=device, **common)
        self.value_function = MLPVF(o_dim, device=device, **common)
        if own := plugins.get("network"):
            self.policy.mean_net = create(own, o_dim, a_dim).to(device)  # type: ignore[assignment]
            self.value_function.v_net = create(own, o_dim, 1).to(device)  # type: ignore[assignment]
        self.device = device
        self.buffer = Buffer(o_dim, a_dim, settings.num_steps, device)
        parameters = [*self.policy.parameters(), *self.value_function.parameters()]
        optimizer = plugins.get("optimizer")
        callback = plugins.get("callback")
        self.learner = PPOLearner(
            self.policy,
            self.value_function,
            self.buffer,
            optimizer.create(torch.optim.Optimizer, parameters) if optimizer else adam(parameters, settings),
            settings,
            rng,
            (lambda net: callback.create(Callback, net)) if callback else None,
        )
        with torch.no_grad():
            self.policy.dist(torch.zeros(1, o_dim, device=device), to_log_features=True)
        self.hidden_units = [h.shape[1] for h in self.policy.get_activations()]  # of each layer of the policy

    @property
    def callbacks(self) -> list[Callback]:
        """Callbacks of the policy and of the value network."""
        return self.learner.callbacks

    @torch.no_grad()
    def act(self, observation: np.ndarray, hidden: Sequence[np.ndarray]) -> tuple[np.ndarray, float]:
        """Draw an action.

        Args:
            observation: observation (o_dim,).
            hidden: arrays (units,), one per hidden layer, which receive the policy's activations.

        Returns:
            The action (a_dim,) and its log probability.
        """
        dist = self.policy.dist(self._batch(observation), to_log_features=True)
        for out, found in zip(hidden, self.policy.get_activations(), strict=True):
            out[:] = found[0].cpu().numpy()
        noise = torch.randn(dist.mean.shape).to(self.device)  # CPU: the same noise on all devices
        action = dist.mean + dist.stddev * noise
        return action[0].cpu().numpy(), dist.log_prob(action).sum().item()

    @torch.no_grad()
    def value(self, observation: np.ndarray) -> float:
        """Return the value of an observation (o_dim,)."""
        return self.value_function.value(self._batch(observation)).item()

    def _batch(self, observation: np.ndarray) -> Tensor:
        return torch.as_tensor(observation, dtype=torch.float32, device=self.device)[None]

    def learn(self) -> dict[str, float]:
        """Update the networks from the full buffer and empty it; see `lop.algos.rl.ppo.PPOLearner.learn`."""
        diagnostics = self.learner.learn()
        self.buffer.clear()
        return diagnostics

    def weights(self) -> dict[str, list[Tensor]]:
        """Return the weights of both networks, `policy` and `value`, one tensor per layer."""
        networks = {"policy": self.policy.mean_net, "value": self.value_function.v_net}
        return {
            name: [module.weight for module in network.modules() if isinstance(module, nn.Linear)]
            for name, network in networks.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state, except that of PyTorch's generators."""
        return self.learner.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.learner.load_state_dict(state)


def adam(parameters: Sequence[nn.Parameter], settings: PPOSettings) -> torch.optim.Optimizer:
    """Create the optimizer of the paper."""
    return eager.Adam(
        parameters,
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.eps,
        weight_decay=settings.weight_decay,
        fused=True,
    )
