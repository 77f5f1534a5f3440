"""Continual backpropagation for convolutional networks, with the published signature."""

from typing import Any

from torch.optim import Optimizer

from lop.algos.callback import Callback
from lop.algos.cbp import ContinualBackprop


class ConvCBP(ContinualBackprop):
    """Continual backpropagation with the replacement rate and accumulation of `lop.algos.convGnT.ConvGnT`.

    `learn` returns the loss and the outputs with both losses. For the arguments, see `lop.algos.cbp.ContinualBackprop`.
    """

    def __init__(
        self,
        net: Any,
        step_size: float = 0.001,
        loss: str = "mse",
        opt: str | Optimizer = "sgd",
        beta: float = 0.9,
        beta_2: float = 0.999,
        replacement_rate: float = 0.0001,
        decay_rate: float = 0.9,
        init: str = "kaiming",
        util_type: str = "contribution",
        maturity_threshold: float = 100,
        device: str = "cpu",
        momentum: float = 0,
        weight_decay: float = 0,
        rate_of: str = "all",
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool | None = None,
        callback: Callback | None = None,
    ):
        super().__init__(
            net,
            step_size,
            loss,
            opt,
            beta,
            beta_2,
            replacement_rate,
            decay_rate,
            device,
            maturity_threshold,
            util_type,
            init,
            accumulate=True,
            momentum=momentum,
            weight_decay=weight_decay,
            rate_of=rate_of,
            move_mean_to_bias=move_mean_to_bias,
            clear_optimizer_state=clear_optimizer_state,
            callback=callback,
        )
        self.returns_outputs = True
