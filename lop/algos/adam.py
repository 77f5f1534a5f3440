"""Adam (Kingma and Ba 2015, arXiv 1412.6980) with a step count per weight, as continual backpropagation requires.

With gradient g and moments m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2 after t steps, Adam computes::

    w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
"""

from collections.abc import Callable, Iterable
from math import log

import torch
from torch import Tensor, nn

from lop.algos.eager import Eager


def zeros(parameter: Tensor) -> Tensor:
    """Return zeros with the shape, dtype and device of a parameter."""
    return torch.zeros_like(parameter, requires_grad=False)


class AdamGnT(Eager):
    """Adam with a step count per weight.

    When continual backpropagation replaces a unit, it zeroes the moments and step counts of the unit's weights
    (`lop.algos.units`), so that their bias correction starts again. The published code contains an error in the bias
    correction, and the paper's figures were made with it: the effective step size of a new weight starts at
    (1 - b2) lr. `corrected=True` uses Adam's bias correction instead, with eps added before the correction::

        published:  w -= lr * (1 - b2^t) * m / (sqrt(v) + eps)
        corrected:  w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)

    `state[parameter]` contains `step`, `exp_avg` and `exp_avg_sq`, each shaped like the parameter.

    Args:
        params: parameters, or parameter groups.
        lr: step size.
        betas: decay rates of the first and second moments, each at least 0 and below 1.
        eps: constant added to the square root of the second moment.
        weight_decay: L2 regularisation, added to the gradients.
        amsgrad: use the maximum of all second moments so far.
        corrected: use Adam's bias correction instead of the published one.

    Raises:
        ValueError: If an argument is out of range.

    Example::

        optimizer = AdamGnT(net.parameters(), lr=1e-3)
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter] | Iterable[dict],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        corrected: bool = False,
    ):
        refuse_impossible(lr, betas, eps, weight_decay)
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "amsgrad": amsgrad,
                "corrected": corrected,
            },
        )

    @torch.no_grad()
    def step(self, closure: Callable | None = None):
        """Update all parameters that have a gradient.

        Args:
            closure: function that re-evaluates the model and returns the loss.

        Returns:
            The loss that `closure` returns, or None without a closure.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self._update(p, p.grad, group)
        return loss

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group.setdefault("corrected", False)  # missing in states of the published optimizer

    def load_state_dict(self, state_dict: dict) -> None:
        """Load the optimizer's state and move the step counts to the devices of their parameters."""
        super().load_state_dict(state_dict)
        for p, state in self.state.items():  # PyTorch does not move entries named `step`
            state["step"] = state["step"].to(p.device)

    def _update(self, p: Tensor, grad: Tensor, group: dict) -> None:
        state = self.state[p]
        if not state:
            names = ["step", "exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
            state.update({name: zeros(p) for name in names})
            state["step"] = state["step"].float()  # bfloat16 cannot represent 257
        (beta_1, beta_2), m, v = group["betas"], state["exp_avg"], state["exp_avg_sq"]
        if group["weight_decay"]:
            grad = grad.add(p, alpha=group["weight_decay"])
        state["step"] += 1
        m.lerp_(grad, 1 - beta_1)
        v.mul_(beta_2).addcmul_(grad, grad, value=1 - beta_2)
        if group["amsgrad"]:
            v = torch.maximum(state["max_exp_avg_sq"], v, out=state["max_exp_avg_sq"])
        correction = bias_correction(state["step"], beta_2)
        if group["corrected"]:
            correction.sqrt_().div_(bias_correction(state["step"], beta_1))
        p.addcdiv_(correction.to(p.dtype).mul_(m), v.sqrt().add_(group["eps"]), value=-group["lr"])


def bias_correction(step: Tensor, beta: float) -> Tensor:
    """Return 1 - beta^step, accurate in float32 even if beta^step is close to 1."""
    return torch.ones_like(step) if beta == 0 else torch.expm1(step * log(beta)).neg_()


def refuse_impossible(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    """Raise ValueError if a hyperparameter of Adam is out of range."""
    if not lr >= 0:
        raise ValueError(f"lr must be non-negative, got {lr!r}")
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"betas must each be at least 0 and below 1, got {betas!r}")
    if not eps >= 0:
        raise ValueError(f"eps must be non-negative, got {eps!r}")
    if not weight_decay >= 0:
        raise ValueError(f"weight_decay must be non-negative, got {weight_decay!r}")
