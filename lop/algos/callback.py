"""A callback of one's own: what is done to a network as it learns, beside the optimizer. See docs/extending.md."""

import importlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from lop.common.errors import InputError


class Callback(ABC):
    """Base of such callbacks.

    Args:
        net: the network; the parameters of reinforcement learning's two networks are seen by a callback each.

    A subclass names its settings as further arguments of its own `__init__`, and raises ValueError where one is
    impossible. Random numbers are to be drawn from torch's own generator, whose state a run saves.
    """

    def __init__(self, net: nn.Module):
        self.net = net

    def before_step(self) -> None:  # noqa: B027
        """Called when every parameter's `grad` is there; what it is changed to in place is what the optimizer takes."""

    def after_step(self, hidden: Sequence[Tensor]) -> None:  # noqa: B027
        """Called after the optimizer's step, with the hidden activations of the minibatch, (batch, ...) a layer."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return the state of the callback besides the network: tensors, numbers, strings, lists and dicts of them."""

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""


def make(name: str, net: nn.Module, settings: Mapping[str, Any]) -> Callback:
    """The callback `<module>:<class>` for a network.

    Raises:
        InputError: the class is no `Callback`, leaves a part out, does not take the settings, or refuses them.
    """
    module, _, class_name = name.partition(":")
    kind = getattr(importlib.import_module(module), class_name)
    if not (inspect.isclass(kind) and issubclass(kind, Callback)):
        raise InputError(f"callback: found {name}, allowed: a subclass of {Callback.__module__}:{Callback.__name__}")
    if inspect.isabstract(kind):
        raise InputError(f"callback: found {name}, which lacks {', '.join(sorted(kind.__abstractmethods__))}")
    try:
        inspect.signature(kind).bind(net, **settings)
    except TypeError as error:
        raise InputError(f"callback: {name}: its settings: {error}") from None
    try:
        return kind(net, **settings)
    except ValueError as error:
        raise InputError(f"callback: {name}: {error}") from None
