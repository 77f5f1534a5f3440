"""Online normalisation: normalise units without a batch (Chiley et al. 2019, arXiv 1905.05894).

The forward pass processes one sample at a time, with running mean mu and variance s^2 per unit and decay rate a_f::

    y_t = (x_t - mu) / sqrt(s^2 + eps)
    s^2 = a_f s^2 + a_f (1 - a_f) (x_t - mu)^2;   mu = a_f mu + (1 - a_f) x_t

The backward pass removes from the gradient g_t of y_t the components that would change scale and mean of the outputs,
with two accumulated errors and decay rate a_b::

    g'_t = g_t - (1 - a_b) e_y y_t;                    e_y += g'_t y_t
    x'_t = g'_t / sqrt(s^2 + eps) - (1 - a_b) e_1;     e_1 += x'_t

For feature maps, mu and the errors are updated with means over the map, and (1 - a_f) times the variance of the map is
added to s^2.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lop.nets.numerics import NORM_CLAMP, NORM_EPS


class OnlineNorm(nn.Module):
    """Online normalisation of `(batch, units, *space)`, one sample of the batch after the other.

    As in the authors' code, normalisation is followed by a scale and a bias per unit and by clamping, which limits the
    effect of outliers. In evaluation mode, the running statistics are used and not updated.

    Args:
        num_features: number of units.
        alpha_forward: decay rate a_f, at least 0 and below 1.
        alpha_backward: decay rate a_b, at least 0 and below 1.
        eps: constant added to the variance.
        affine: learn a scale and a bias per unit.
        clamp: clamp outputs to [-clamp, clamp]; None disables clamping.

    Raises:
        ValueError: If a decay rate is out of range.

    Example::

        net = nn.Sequential(nn.Linear(784, 100), OnlineNorm(100), nn.ReLU(), nn.Linear(100, 10))
    """

    weight: Tensor  # scales (units,); like the bias, None unless affine
    bias: Tensor
    running_mean: Tensor  # mu, (units,)
    running_var: Tensor  # s^2, (units,)
    output_error: Tensor  # e_y, (units,)
    mean_error: Tensor  # e_1, (units,)

    def __init__(
        self,
        num_features: int,
        alpha_forward: float = 0.999,
        alpha_backward: float = 0.99,
        eps: float = NORM_EPS,
        affine: bool = True,
        clamp: float | None = NORM_CLAMP,
    ):
        for name, alpha in (("alpha_forward", alpha_forward), ("alpha_backward", alpha_backward)):
            if not 0 <= alpha < 1:
                raise ValueError(f"{name} must be at least 0 and below 1, got {alpha!r}")
        super().__init__()
        self.num_features, self.eps, self.affine, self.clamp = num_features, eps, affine, clamp
        self.alpha_forward, self.alpha_backward = alpha_forward, alpha_backward
        self.register_parameter("weight", nn.Parameter(torch.ones(num_features)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(num_features)) if affine else None)
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))
        self.register_buffer("output_error", torch.zeros(num_features))
        self.register_buffer("mean_error", torch.zeros(num_features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the normalised inputs, of the same shape as x `(batch, units, *space)`."""
        by_unit = (1, -1) + (1,) * (x.ndim - 2)
        if self.training:
            y = _Normalise.apply(x, self)
        else:
            y = (x - self.running_mean.view(by_unit)) / (self.running_var + self.eps).sqrt().view(by_unit)
        if self.affine:
            y = y * self.weight.view(by_unit) + self.bias.view(by_unit)
        return y if self.clamp is None else y.clamp(-self.clamp, self.clamp)


class _Normalise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, norm: OnlineNorm) -> Tensor:
        a = norm.alpha_forward
        mean, var = norm.running_mean, norm.running_var
        flat = x.flatten(2) if x.ndim > 2 else x[..., None]  # (batch, units, space)
        y, scales = torch.empty_like(flat), flat.new_empty(flat.shape[:2])
        for t, sample in enumerate(flat):  # (units, space)
            scales[t] = (var + norm.eps).sqrt()
            y[t] = (sample - mean[:, None]) / scales[t, :, None]
            sample_mean = sample.mean(1)
            var.mul_(a).add_(sample.var(1, unbiased=False), alpha=1 - a)
            var.add_((sample_mean - mean) ** 2, alpha=a * (1 - a))
            mean.mul_(a).add_(sample_mean, alpha=1 - a)
        ctx.save_for_backward(y, scales)
        ctx.norm = norm
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        y, scales = ctx.saved_tensors
        norm, (gradient,) = ctx.norm, gradients
        along_output, along_mean = norm.output_error, norm.mean_error
        out = torch.empty_like(y)
        for t, g in enumerate(gradient.reshape(y.shape)):  # (units, space)
            g = g - (1 - norm.alpha_backward) * along_output[:, None] * y[t]
            along_output += (g * y[t]).mean(1)
            out[t] = g / scales[t, :, None] - (1 - norm.alpha_backward) * along_mean[:, None]
            along_mean += out[t].mean(1)
        return out.view(gradient.shape), None
