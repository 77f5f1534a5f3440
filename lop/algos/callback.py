"""Callbacks: user code that runs around the optimizer's step. See docs/extending.md."""

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lop.common.errors import InputError


class Callback(ABC):
    """Base class of callbacks.

    A subclass declares its settings as additional arguments of its `__init__` and raises ValueError if one is invalid.
    It should draw random numbers from PyTorch's global generator, whose state is saved with the run.

    Args:
        net: Network that is trained. In reinforcement learning, the policy and the value network have one callback
            each.
    """

    def __init__(self, net: nn.Module):
        self.net = net

    def before_step(self) -> None:  # noqa: B027
        """Run after `backward()` and before the optimizer's step; may modify gradients in place."""

    def after_step(self, hidden: Sequence[Tensor]) -> None:  # noqa: B027
        """Run after the optimizer's step.

        Args:
            hidden: Hidden activations of the minibatch before the step, (batch, ...), one tensor per layer.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the state of the callback, without that of the network.

        It may contain tensors, numbers, strings, and lists and dicts of these.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state that `state_dict` returned."""


def make(name: str, net: nn.Module, settings: Mapping[str, Any]) -> Callback:
    """Create a callback for a network.

    Args:
        name: Class of the callback, `<module>:<class>`.
        net: Network that is trained.
        settings: Additional arguments of the class.

    Raises:
        InputError: If the class is not a subclass of `Callback`, is abstract, or rejects the settings.
    """
    module, _, class_name = name.partition(":")
    kind = getattr(importlib.import_module(module), class_name)
    if not (inspect.isclass(kind) and issubclass(kind, Callback)):
        raise InputError(f"callback: found {name}, allowed: a subclass of {Callback.__module__}:{Callback.__name__}")
    if inspect.isabstract(kind):
        raise InputError(f"callback: found {name}, missing: {', '.join(sorted(kind.__abstractmethods__))}")
    try:
        inspect.signature(kind).bind(net, **settings)
    except TypeError as error:
        raise InputError(f"callback: {name}: callback_settings: {error}") from None
    try:
        return kind(net, **settings)
    except ValueError as error:
        raise InputError(f"callback: {name}: {error}") from None
