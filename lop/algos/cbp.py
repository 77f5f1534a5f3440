"""Continual backpropagation: gradient descent, and after every step generate-and-test (Algorithm 1 of the paper).

For every example or minibatch:

1. forward pass, loss, backward pass, one step of the optimizer;
2. for every hidden layer ages, utilities, and the replacement of a few units (`lop.algos.gnt`).
"""

from typing import Any

from torch import Tensor

from lop.algos.adam import AdamGnT
from lop.algos.bp import OPTIMIZERS, Backprop
from lop.algos.callback import Callback
from lop.algos.gnt import GnT


class ContinualBackprop(Backprop):
    """Continual backpropagation for a plain network, in the published signature.

    Args:
        net: as for `lop.algos.bp.Backprop`, with its modules in order in `net.layers` and the name of its activation in
            `net.act_type`.
        opt: `sgd`, or `adam` for Adam with step counts by weight (`lop.algos.adam.AdamGnT`), whose moments and counts
            are cleared for replaced units. SGD's momentum is not, as published.
        beta, beta_2: decay rates of Adam.
        outgoing_random: not used; published scripts name it.
        clear_optimizer_state: True also clears the momentum of SGD, False leaves the moments of Adam.
        step_size, loss, momentum, weight_decay, callback: see `Backprop`.
        others: see `lop.algos.gnt.GenerateAndTest`.

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
        opt: str = "sgd",
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
        self.replaced: list[Tensor] = []  # units replaced by the last step, a tensor of indices a hidden layer

    def _descend(self, x: Tensor, target: Tensor) -> tuple[Tensor, Tensor, list[Tensor] | None]:
        found = super()._descend(x, target)
        if self._graphed:
            self.gnt.observe(found[2] or [])
        return found

    def capture(self) -> bool:
        """As `Backprop.record`; ages and utilities are part of it, random utilities are drawn on the CPU."""
        return self.gnt.util_type != "random" and super().capture()

    def _after_step(self) -> None:
        self.replaced = self.gnt.gen_and_test(self.previous_features or [], self._graphed is not None)
