"""All uses of private parts of other libraries.

`pyproject.toml` sets upper bounds on the versions of these libraries, and tests/test_compat.py tests each function:
run it before you raise a bound. Libraries are imported where they are needed, so that environments do not import torch
and networks do not import Gymnasium.
"""

from collections.abc import Callable
from inspect import unwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gymnasium.wrappers import TimeLimit
    from torch import Tensor, nn
    from torch.optim import Optimizer


def without_dynamo(method: Callable[..., Any]) -> Any:
    """Return a method of torch's optimizers without the wrapper that keeps torch's compiler out of it.

    The wrapper imports `torch._dynamo` at its first call, which takes two seconds, and torch has no switch for it.
    Known good: torch 2.13, where wrappers set `__wrapped__`.
    """
    return unwrap(method)


def step_without_dynamo(optimizer: type["Optimizer"]) -> Any:
    """Return the `step` of one of torch's optimizers without its wrappers; see `without_dynamo`.

    One of them sets the gradient mode, which this does too. The step hooks are not lost: the constructor of an
    optimizer adds them to the class. Known good: torch 2.13.
    """
    import torch

    unwrapped = without_dynamo(optimizer.step)

    def step(self: "Optimizer", closure: Callable | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return unwrapped(self, closure)

    return step


def registered_parameter(module: "nn.Module", name: str) -> "nn.Parameter | None":
    """Return the module's own parameter `name`; None if the attribute is computed (parametrized, pruned) or missing.

    `getattr` computes a parametrized attribute, and a lookup by `named_parameters` or `get_parameter` takes 1.5 µs
    instead of 0.1; an update of a small layer's statistics, which needs two, takes 2.6 µs. Known good: torch 2.13.
    """
    return module._parameters.get(name)


class Converted:
    """Mixin that notifies a module after `to`, `cuda`, `half` and the like have replaced its tensors.

    List it before `torch.nn.Module` among the bases. Torch has hooks for forward and backward passes and for state
    dicts, but none for conversions, which all go through `Module._apply`. Known good: torch 2.13.
    """

    def after_conversion(self, buffers: dict[str, "Tensor"]) -> None:
        """Handle a conversion; `buffers` maps names to the module's own buffers from before it."""
        raise NotImplementedError

    def _apply(self: Any, fn: Callable[["Tensor"], "Tensor"], recurse: bool = True) -> Any:
        buffers = dict(self.named_buffers(recurse=False))
        super()._apply(fn, recurse)  # type: ignore[misc]
        self.after_conversion(buffers)
        return self


def uncompiled(net: "nn.Module") -> "nn.Module":
    """Return the network that `torch.compile` wrapped, or `net` itself if it is not compiled.

    The wrapper has no public attribute for it. Known good: torch 2.13.
    """
    return getattr(net, "_orig_mod", net)


def without_reference_counts() -> dict[str, bool]:
    """Return the options of `numba.njit` for a function that allocates no arrays, to disable reference counting.

    Counting references to the arrays of a small network takes longer than learning from an example. Numba has no
    public option to disable it. Known good: numba 0.68.
    """
    return {"_nrt": False}


def elapsed_steps(limit: "TimeLimit") -> int | None:
    """Return the number of steps that a time limit has counted in the episode; None before the first reset.

    Gymnasium's wrapper does not expose its count, which a resumed run has to restore. Known good: gymnasium 1.4.
    """
    return limit._elapsed_steps


def set_elapsed_steps(limit: "TimeLimit", steps: int | None) -> None:
    """Set the number of steps that a time limit has counted in the episode; see `elapsed_steps`."""
    limit._elapsed_steps = steps  # type: ignore[assignment]
