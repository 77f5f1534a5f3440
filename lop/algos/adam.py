"""Adam (Kingma and Ba 2015, arXiv 1412.6980), as continual backpropagation needs it.

With gradient g, moments m = b1 m + (1 - b1) g and v = b2 v + (1 - b2) g^2 after t steps:

    w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)
"""

from collections.abc import Callable, Iterable
from math import log

import torch
from torch import Tensor, nn

from lop.algos.eager import Eager


def zeros(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter, requires_grad=False)


class AdamGnT(Eager):
    """Adam that counts the steps of every weight, so that those of a replaced unit can start at zero again.

    Continual backpropagation zeroes moments and counts of a unit's weights when it replaces it (`lop.algos.units`).
    The published code has a slip in the bias correction, and the paper's figures came from it: the steps of fresh
    weights begin at (1 - b2) of their size. `corrected` gives Adam's, with eps added before it:

        published:  w -= lr * (1 - b2^t) * m / (sqrt(v) + eps)
        corrected:  w -= lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)

    Args:
        params: parameters, or groups of them. lr: step size. betas: decay of the two moments.
        eps: added to the root of the second. weight_decay: L2 regularisation, added to the gradients.
        amsgrad: divide by the largest v so far. corrected: Adam's bias correction rather than the published one.

    `state[parameter]` holds `step`, `exp_avg` and `exp_avg_sq`, each shaped like the parameter.

    Example::

        learner_optimizer = AdamGnT(net.parameters(), lr=1e-3)
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
        """Update all parameters that have a gradient; returns the closure's loss."""
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
            group.setdefault("corrected", False)  # a state of the published optimizer, which knows no other

    def load_state_dict(self, state_dict: dict) -> None:
        super().load_state_dict(state_dict)
        for p, state in self.state.items():  # torch leaves what is called `step` where it is, on the CPU
            state["step"] = state["step"].to(p.device)

    def _update(self, p: Tensor, grad: Tensor, group: dict) -> None:
        state = self.state[p]
        if not state:
            names = ["step", "exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
            state.update({name: zeros(p) for name in names})
            state["step"] = state["step"].float()  # 16 bits could not count to 257
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
    """1 - beta^step, in float32 also where beta^step is nearly 1."""
    return torch.ones_like(step) if beta == 0 else torch.expm1(step * log(beta)).neg_()


def refuse_impossible(lr: float, betas: tuple[float, float], eps: float, weight_decay: float) -> None:
    if not lr >= 0:
        raise ValueError(f"Invalid lr: {lr} (allowed: 0 and more)")
    if not all(0 <= beta < 1 for beta in betas):
        raise ValueError(f"Invalid betas: {betas} (allowed: each from 0 up to, not including, 1)")
    if not eps >= 0:
        raise ValueError(f"Invalid eps: {eps} (allowed: 0 and more)")
    if not weight_decay >= 0:
        raise ValueError(f"Invalid weight_decay: {weight_decay} (allowed: 0 and more)")
