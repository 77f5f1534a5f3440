"""All uses of private interfaces of other libraries.

`pyproject.toml` sets upper bounds on the versions of these libraries, and tests/test_compat.py tests each function; run
it before raising a bound. Libraries are imported inside the functions, so that environments do not import PyTorch and
networks do not import Gymnasium.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gymnasium.wrappers import TimeLimit
    from torch import Tensor, nn
    from torch.optim import Optimizer


def without_dynamo(method: Callable[..., Any]) -> Any:
    """Return a method of PyTorch's optimizers without the wrapper that disables compilation.

    At its first call, the wrapper imports `torch._dynamo`, which takes two seconds and cannot be disabled. Tested with
    PyTorch 2.13, whose wrappers set `__wrapped__`.
    """
    return unwrap(method)


def step_without_dynamo(optimizer: type["Optimizer"]) -> Any:
    """Return the method `step` of a PyTorch optimizer without its wrappers; see `without_dynamo`.

    One of the wrappers sets the gradient mode, which the returned method does itself. Step hooks are not lost, because
    the constructor of an optimizer adds them to the class. Tested with PyTorch 2.13.
    """
    import torch

    unwrapped = without_dynamo(optimizer.step)

    def step(self: "Optimizer", closure: Callable | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return unwrapped(self, closure)

    return step


def registered_parameter(module: "nn.Module", name: str) -> "nn.Parameter | None":
    """Return the module's parameter `name`, or None if the attribute is computed (parametrized, pruned) or missing.

    `getattr` would evaluate a parametrized attribute. `named_parameters` and `get_parameter` take 1.5 µs instead of 0.1
    µs; an update of a small layer's statistics needs two look-ups and takes 2.6 µs. Tested with PyTorch 2.13.
    """
    return module._parameters.get(name)


class Converted:
    """Mixin that notifies a module after `to`, `cuda`, `half` and the like have replaced its tensors.

    List it before `torch.nn.Module` among the base classes. PyTorch has hooks for forward and backward passes and for
    state dicts, but not for conversions, all of which call `Module._apply`. Tested with PyTorch 2.13.
    """

    def after_conversion(self, buffers: dict[str, "Tensor"]) -> None:
        """Handle a conversion.

        Args:
            buffers: the module's own buffers before the conversion, by name.
        """
        raise NotImplementedError

    def _apply(self: Any, fn: Callable[["Tensor"], "Tensor"], recurse: bool = True) -> Any:
        buffers = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)  # type: ignore[misc]
        self.after_conversion(buffers)
        return self


def uncompiled(net: "nn.Module") -> "nn.Module":
    """Return the network that `torch.compile` wrapped, or `net` itself if it is not compiled.

    The wrapper has no public attribute for the network. Tested with PyTorch 2.13.
    """
    return getattr(net, "_orig_mod", net)


def without_reference_counts() -> dict[str, bool]:
    """Return options of `numba.njit` that disable reference counting, for functions that do not allocate arrays.

    For small networks, counting references takes longer than learning from an example. Numba has no public option to
    disable it. Tested with Numba 0.68.
    """
    return {"_nrt": False}


def elapsed_steps(limit: "TimeLimit") -> int | None:
    """Return the number of steps that a time limit has counted in the episode; None before the first reset.

    A resumed run has to restore this number, which Gymnasium's wrapper does not expose. Tested with Gymnasium 1.4.
    """
    return limit._elapsed_steps


def set_elapsed_steps(limit: "TimeLimit", steps: int | None) -> None:
    """Set the number of steps that a time limit has counted in the episode; see `elapsed_steps`."""
    limit._elapsed_steps = steps  # type: ignore[assignment]
