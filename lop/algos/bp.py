"""Backpropagation: one step of gradient descent per example or minibatch.

The optimizer is SGD (optionally with momentum), Adam or AdamW. L2 regularisation is the optimizer's weight decay;
shrink and perturb adds noise to the weights. Dropout and online normalisation are part of the network
(`lop.nets.deep_ffnn`).
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lop.algos import eager
from lop.algos.callback import Callback
from lop.algos.cuda_graphs import GraphedStep
from lop.algos.gnt import GenerateAndTest
from lop.algos.shrink_and_perturb import perturb
from lop.algos.units import WEIGHT_LAYERS

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"nll": F.cross_entropy, "mse": F.mse_loss}
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda params, lr, betas, weight_decay, momentum: eager.SGD(
        params, lr=lr, weight_decay=weight_decay, momentum=momentum
    ),
    "adam": lambda params, lr, betas, weight_decay, momentum: eager.Adam(
        params, lr=lr, betas=betas, weight_decay=weight_decay
    ),
    "adamW": lambda params, lr, betas, weight_decay, momentum: eager.AdamW(
        params, lr=lr, betas=betas, weight_decay=weight_decay
    ),
}


class Backprop:
    """Learner that takes one optimizer step per minibatch, on the device of the network.

    Args:
        net: network whose `predict(x)` returns outputs and a list of hidden activations, like all networks in
            `lop.nets`.
        step_size: step size of the optimizer.
        loss: `mse`, or `nll` for cross entropy with class indices.
        opt: `sgd`, `adam` or `adamW`, or an optimizer of the network's parameters; the learner then ignores
            `step_size`, `beta_1`, `beta_2`, `weight_decay` and `momentum`.
        beta_1: decay rate of the first moment; Adam and AdamW only.
        beta_2: decay rate of the second moment; Adam and AdamW only.
        weight_decay: L2 regularisation; decoupled weight decay with AdamW.
        to_perturb: add Gaussian noise of standard deviation `perturb_scale` to all weights after each step.
        perturb_scale: standard deviation of the noise.
        device: ignored; the learner uses the device of the network.
        momentum: momentum of SGD.
        callback: callback that is called around each optimizer step; its network is `net`.

    Raises:
        ValueError: If the loss or the optimizer is unknown, or `perturb_scale` is negative.

    Example::

        learner = Backprop(FFNN(20), step_size=0.01)
        loss = learner.learn(torch.randn(1, 20), torch.randn(1, 1))
    """

    optimizers = OPTIMIZERS

    def __init__(
        self,
        net: Any,
        step_size: float = 0.001,
        loss: str = "mse",
        opt: str | torch.optim.Optimizer = "sgd",
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        weight_decay: float = 0.0,
        to_perturb: bool = False,
        perturb_scale: float = 0.1,
        device: str = "cpu",
        momentum: float = 0,
        callback: Callback | None = None,
    ):
        if loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}, got {loss!r}")
        if not (isinstance(opt, torch.optim.Optimizer) or opt in self.optimizers):
            raise ValueError(f"opt must be an optimizer or one of {', '.join(self.optimizers)}, got {opt!r}")
        if not perturb_scale >= 0:
            raise ValueError(f"perturb_scale must be non-negative, got {perturb_scale!r}")
        self.net, self.loss, self.loss_func, self.callback = net, loss, LOSSES[loss], callback
        self.returns_outputs = loss == "nll"
        self.to_perturb, self.perturb_scale = to_perturb, perturb_scale
        self.opt: Any = opt
        if isinstance(opt, str):
            self.opt = self.optimizers[opt](net.parameters(), step_size, (beta_1, beta_2), weight_decay, momentum)
        if callback:
            callback.optimizer = self.opt
        self.previous_features: list[Tensor] | None = None
        self._graphed: GraphedStep | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_graphed": None}  # copies and pickles contain no CUDA graphs

    @property
    def callbacks(self) -> list[Callback]:
        """The callback, if any, as a list."""
        return [self.callback] if self.callback else []

    def learn(self, x: Tensor, target: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Take one step on a minibatch.

        Args:
            x: inputs (batch, ...).
            target: targets (batch, ...).

        Returns:
            The loss before the step. With loss `nll`, a tuple of that loss and the outputs before the step.
        """
        loss, output, self.previous_features = (self._graphed or self._descend)(x, target)
        self._after_step()
        if self.callback:
            self.callback.after_step(self.previous_features or [])
        return (loss, output) if self.returns_outputs else loss

    def _descend(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, list[Tensor] | None]:
        """Take the optimizer's step; return the loss, outputs and hidden activations before it."""
        output, features = self.net.predict(x)
        loss = self.loss_func(output, target)
        self.opt.zero_grad()
        loss.backward()
        if self.callback:
            self.callback.before_step()
        self.opt.step()
        return loss.detach(), output.detach(), features and [h.detach() for h in features]

    def capture(self) -> bool:
        """Capture further steps as CUDA graphs (`lop.algos.cuda_graphs`), if the learner supports it.

        Each step then overwrites the loss and the outputs that the previous step returned. The network must not draw
        random numbers on the CPU. Call this method again after loading a state into the network or the optimizer.

        Returns:
            Whether steps are captured. They are not on the CPU, with optimizers other than SGD, with a callback, or if
            layers of the network replace units.
        """
        on_cuda = all(parameter.is_cuda for parameter in self.net.parameters())
        replaces = any(isinstance(module, GenerateAndTest) for module in self.net.modules())
        alike = on_cuda and isinstance(self.opt, torch.optim.SGD) and not self.callback and not replaces
        self._graphed = GraphedStep(self._descend, self.opt) if alike else None
        return alike

    def _after_step(self) -> None:
        if self.to_perturb:
            self.perturb()

    def perturb(self) -> None:
        """Add noise to the biases and weights, layer by layer, as in the published code."""
        perturb(_biases_and_weights(getattr(self.net, "layers", None) or self.net.modules()), self.perturb_scale)


def _biases_and_weights(layers: Iterable[nn.Module]) -> Iterator[Tensor]:
    for layer in layers:
        if isinstance(layer, WEIGHT_LAYERS):
            if layer.bias is not None:
                yield layer.bias
            yield layer.weight
