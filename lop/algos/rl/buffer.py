"""What happened since the last update, in arrays made once."""

import numpy as np
import torch
from torch import Tensor


class Buffer:
    """The last `bs` transitions, as PPO's update needs them.

    Args:
        o_dim, a_dim: sizes of an observation and of an action.
        bs: transitions an update takes; what is stored beyond them is dropped, as in the published code.
        device: where `get` puts its tensors.
    """

    def __init__(self, o_dim: int, a_dim: int, bs: int, device: str = "cpu"):
        if bs < 1:
            raise ValueError(f"Invalid bs: {bs} (allowed: 1 and more)")
        self.o_dim, self.a_dim, self.bs, self.device = o_dim, a_dim, bs, device
        self.observations = np.zeros((bs, o_dim), np.float32)
        self.actions = np.zeros((bs, a_dim), np.float32)
        self.rewards = np.zeros((bs, 1), np.float32)
        self.log_probabilities = np.zeros((bs, 1), np.float32)
        self.dones = np.zeros((bs, 1), np.float32)
        self.next_observation = np.zeros((1, o_dim), np.float32)
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def store(self, o, a, r, op, logpb, dist=None, done=False) -> None:
        """One transition: observation, action, reward, next observation, log probability, whether the episode ended.

        `dist` is accepted as published scripts pass it; PPO's update does not need it.
        """
        i = self.size
        if i < self.bs:
            self.observations[i] = o
            self.actions[i] = a
            self.rewards[i] = r
            self.log_probabilities[i] = logpb
            self.dones[i] = done
            self.size = i + 1
        self.next_observation[:] = op

    def clear(self) -> None:
        self.size = 0

    def get(self, dist_stack=None) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, None, Tensor]:
        """Observations (bs, o_dim), actions (bs, a_dim), rewards (bs, 1), the observation after the last (1, o_dim),
        log probabilities (bs, 1), None where the published buffer had distributions, and episode ends (bs, 1)."""

        def tensor(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(self.device)

        return (
            tensor(self.observations),
            tensor(self.actions),
            tensor(self.rewards),
            tensor(self.next_observation),
            tensor(self.log_probabilities),
            None,
            tensor(self.dones),
        )

    def state_dict(self) -> dict:
        return {"size": self.size} | {name: torch.from_numpy(getattr(self, name)) for name in self._arrays}

    def load_state_dict(self, state: dict) -> None:
        self.size = state["size"]
        for name in self._arrays:
            getattr(self, name)[:] = state[name].numpy()

    _arrays = ("observations", "actions", "rewards", "log_probabilities", "dones", "next_observation")
