"""Backpropagation: one step of gradient descent for every example or minibatch, and nothing else.

With SGD (and momentum), Adam or AdamW; L2 regularisation by the optimizer's weight decay; shrink and perturb with noise
on top of it. Dropout and online normalisation belong to the network (`lop.nets.deep_ffnn`).
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
    """Learns one minibatch after the other, on the device of the network.

    Args:
        net: `net.predict(x)` gives outputs and a list of hidden activations, as every network of `lop.nets` does.
        step_size: of the optimizer.
        loss: `mse`, or `nll` for cross entropy with class indices.
        opt: `sgd`, `adam` or `adamW`; with decay rates `beta_1` and `beta_2`, or `momentum` for SGD.
        weight_decay: L2 regularisation; decoupled from the gradient for AdamW.
        to_perturb: add Gaussian noise of standard deviation `perturb_scale` to all weights after each step.
        device: not used: the network's.
        callback: of one's own, beside the optimizer; its network is `net`.

    Raises:
        ValueError: an unknown loss or optimizer.

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
        opt: str = "sgd",
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
            raise ValueError(f"Invalid loss: {loss!r} (allowed: {', '.join(LOSSES)})")
        if opt not in self.optimizers:
            raise ValueError(f"Invalid opt: {opt!r} (allowed: {', '.join(self.optimizers)})")
        if not perturb_scale >= 0:
            raise ValueError(f"Invalid perturb_scale: {perturb_scale} (allowed: 0 and more)")
        self.net, self.loss, self.loss_func, self.callback = net, loss, LOSSES[loss], callback
        self.to_perturb, self.perturb_scale = to_perturb, perturb_scale
        self.opt = self.optimizers[opt](net.parameters(), step_size, (beta_1, beta_2), weight_decay, momentum)
        self.previous_features: list[Tensor] | None = None
        self._graphed: GraphedStep | None = None

    def learn(self, x: Tensor, target: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """One step on inputs and targets (batch, ...). Returns the loss before it, with loss `nll` and the outputs."""
        loss, output, self.previous_features = (self._graphed or self._descend)(x, target)
        self._after_step()
        if self.callback:
            self.callback.after_step(self.previous_features or [])
        return (loss, output) if self.loss == "nll" else loss

    def _descend(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, list[Tensor] | None]:
        """Up to the optimizer's step: loss, outputs and hidden activations before it."""
        output, features = self.net.predict(x)
        loss = self.loss_func(output, target)
        self.opt.zero_grad()
        loss.backward()
        if self.callback:
            self.callback.before_step()
        self.opt.step()
        return loss.detach(), output.detach(), features and [h.detach() for h in features]

    def capture(self) -> bool:
        """On a CUDA device: have steps repeated by the GPU itself (`lop.algos.cuda_graphs`), if they are all alike.

        Loss and outputs are then overwritten by the next step. A network that draws random numbers on the CPU must not
        be recorded. When other states have been loaded into the network or the optimizer, call this again.

        Returns whether steps are alike: not on the CPU, with an optimizer that counts there (Adam), with a callback of
        one's own, or with a network whose layers replace units.
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
        """Add noise to biases and weights, layer by layer, as published."""
        perturb(_biases_and_weights(self.net.layers), self.perturb_scale)


def _biases_and_weights(layers: Iterable[nn.Module]) -> Iterator[Tensor]:
    for layer in layers:
        if isinstance(layer, WEIGHT_LAYERS):
            if layer.bias is not None:
                yield layer.bias
            yield layer.weight
