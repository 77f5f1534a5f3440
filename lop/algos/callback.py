"""Callbacks: user code that runs around the optimizer's step and when a task begins. See docs/extending.md."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer


class Callback(ABC):
    """Base class of callbacks.

    A subclass declares its settings as additional arguments of its `__init__` and raises ValueError if one is invalid.
    It should draw random numbers from PyTorch's global generator, whose state is saved with the run.

    Args:
        net: network that is trained. In reinforcement learning, the policy and the value network have one callback
            each.

    Attributes:
        net: the network.
        optimizer: its optimizer, set by the learner.
    """

    optimizer: Optimizer

    def __init__(self, net: nn.Module):
        self.net = net

    def new_task(self, number: int) -> None:  # noqa: B027
        """Run before the first step of each task.

        Args:
            number: number of the task, counted from 0.
        """

    def before_step(self) -> None:  # noqa: B027
        """Run after `backward()` and before the optimizer's step; may modify gradients in place."""

    def after_step(self, hidden: Sequence[Tensor]) -> None:  # noqa: B027
        """Run after the optimizer's step.

        Args:
            hidden: hidden activations of the minibatch before the step, (batch, ...), one tensor per layer.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the state of the callback, without that of the network and the optimizer.

        It may contain tensors, numbers, strings, and lists and dicts of these.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""
