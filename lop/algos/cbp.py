"""Continual backpropagation: gradient descent with generate-and-test after each step (Algorithm 1 of the paper).

For each example or minibatch:

1. Compute the loss and its gradients, and take one optimizer step.
2. For each hidden layer, update ages and utilities, and replace a few units (`lop.algos.gnt`).
"""

from typing import Any

import torch
from torch import Tensor

from lop.algos.adam import AdamGnT
from lop.algos.bp import OPTIMIZERS, Backprop
from lop.algos.callback import Callback
from lop.algos.gnt import GnT


class ContinualBackprop(Backprop):
    """Continual backpropagation for a sequential network, with the published signature.

    For arguments that are not listed, see `lop.algos.bp.Backprop` and `lop.algos.gnt.GenerateAndTest`.

    Args:
        net: network as for `lop.algos.bp.Backprop`, with its modules in order in `net.layers` and the name of its
            activation in `net.act_type`.
        opt: `sgd`, or `adam` for `lop.algos.adam.AdamGnT`. As in the published code, only `adam` clears the optimizer's
            state of replaced units by default.
        beta: decay rate of the first moment of Adam.
        beta_2: decay rate of the second moment of Adam.
        device: ignored; the learner uses the device of the network.
        outgoing_random: ignored; accepted for compatibility with published scripts.
        clear_optimizer_state: True also clears the momentum of SGD, False keeps the moments of Adam.

    Example::

        learner = ContinualBackprop(FFNN(20), step_size=0.01, replacement_rate=1e-4, accumulate=True)
        loss = learner.learn(torch.randn(1, 20), torch.randn(1, 1))
    """

    optimizers = {
        "sgd": OPTIMIZERS["sgd"],
        "adam": lambda params, lr, betas, weight_decay, momentum: AdamGnT(
            params, lr=lr, betas=betas, weight_decay=weight_decay
        ),
    }

    def __init__(
        self,
        net: Any,
        step_size: float = 0.001,
        loss: str = "mse",
        opt: str | torch.optim.Optimizer = "sgd",
        beta: float = 0.9,
        beta_2: float = 0.999,
        replacement_rate: float = 0.001,
        decay_rate: float = 0.9,
        device: str = "cpu",
        maturity_threshold: float = 100,
        util_type: str = "contribution",
        init: str = "kaiming",
        accumulate: bool = False,
        momentum: float = 0,
        outgoing_random: bool = False,
        weight_decay: float = 0,
        rate_of: str = "mature",
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool | None = None,
        callback: Callback | None = None,
    ):
        super().__init__(net, step_size, loss, opt, beta, beta_2, weight_decay, momentum=momentum, callback=callback)
        self.gnt = GnT(
            net.layers,
            net.act_type,
            self.opt,
            decay_rate=decay_rate,
            replacement_rate=replacement_rate,
            init=init,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            accumulate=accumulate,
            rate_of=rate_of,
            move_mean_to_bias=move_mean_to_bias,
            clear_optimizer_state=clear_optimizer_state,
        )
        self.replaced: list[Tensor] = []  # indices of the units replaced by the last step, one tensor per layer

    def _descend(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, list[Tensor] | None]:
        found = super()._descend(x, target)
        if self._graphed:
            self.gnt.observe(found[2] or [])
        return found

    def capture(self) -> bool:
        """Capture further steps as CUDA graphs, including the update of ages and utilities; see `Backprop.capture`.

        Returns:
            Whether steps are captured. They are not with random utilities, which are drawn on the CPU.
        """
        return self.gnt.util_type != "random" and super().capture()

    def _after_step(self) -> None:
        super()._after_step()
        self.replaced = self.gnt.gen_and_test(self.previous_features or [], self._graphed is not None)
