"""Buffer of the transitions since the last update of PPO."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


class Buffer:
    """Preallocated arrays for the `bs` transitions of an update of PPO.

    Args:
        o_dim: size of an observation.
        a_dim: size of an action.
        bs: number of transitions. As in the published code, further transitions are dropped until `clear` is called.
        device: device of the tensors that `get` returns.

    Raises:
        ValueError: If `bs` is not positive.
    """

    def __init__(self, o_dim: int, a_dim: int, bs: int, device: str = "cpu"):
        if bs < 1:
            raise ValueError(f"bs must be positive, got {bs}")
        self.o_dim, self.a_dim, self.bs, self.device = o_dim, a_dim, bs, device
        self.observations = np.zeros((bs, o_dim), np.float32)
        self.actions = np.zeros((bs, a_dim), np.float32)
        self.rewards = np.zeros(bs, np.float32)
        self.log_probabilities = np.zeros(bs, np.float32)
        self.dones = np.zeros(bs, np.float32)
        self.next_observation = np.zeros((1, o_dim), np.float32)
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def store(self, o, a, r, op, logpb, dist=None, done=False) -> None:
        """Store one transition.

        Args:
            o: observation (o_dim,).
            a: action (a_dim,).
            r: reward.
            op: next observation (o_dim,).
            logpb: log probability of the action, a number or an array with one element.
            dist: ignored; accepted for compatibility with published scripts.
            done: whether the episode ended.
        """
        i = self.size
        if i < self.bs:
            self.observations[i] = o
            self.actions[i] = a
            self.rewards[i] = r
            self.log_probabilities[i : i + 1] = logpb
            self.dones[i] = done
            self.size = i + 1
        self.next_observation[0] = op

    def is_due(self, done: bool, at_episode_end: bool = False) -> bool:
        """Return whether an update is due: the buffer is full and, with `at_episode_end`, an episode has just ended.

        Args:
            done: whether the last transition ended an episode.
            at_episode_end: update only at the end of an episode.
        """
        return self.size >= self.bs and (done or not at_episode_end)

    def clear(self) -> None:
        """Empty the buffer."""
        self.size = 0

    def get(self, dist_stack: Any = None) -> "tuple[Tensor, Tensor, Tensor, Tensor, Tensor, None, Tensor]":
        """Return the transitions as tensors, which share memory with the buffer on the CPU.

        Args:
            dist_stack: ignored; accepted for compatibility with published scripts.

        Returns:
            Observations (bs, o_dim), actions (bs, a_dim), rewards (bs, 1), the observation after the last transition
            (1, o_dim), log probabilities (bs, 1), None in place of the published distributions, and episode ends (bs,
            1).
        """
        import torch  # not needed by the compiled engine

        columns = (self.rewards[:, None], self.next_observation, self.log_probabilities[:, None], self.dones[:, None])
        arrays = (self.observations, self.actions, *columns)
        o, a, r, op, logpb, dones = (torch.from_numpy(array).to(self.device) for array in arrays)
        return o, a, r, op, logpb, None, dones

    def state_dict(self) -> dict[str, Any]:
        """Return the size and the arrays, which share memory with the buffer."""
        return {"size": self.size} | {name: getattr(self, name) for name in self._arrays}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.size = state["size"]
        for name in self._arrays:
            getattr(self, name)[...] = state[name]

    _arrays = ("observations", "actions", "rewards", "log_probabilities", "dones", "next_observation")
