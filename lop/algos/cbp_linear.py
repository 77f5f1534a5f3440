"""Continual backpropagation as a layer: put it behind an activation, and train as ever.

The layer passes activations through. In the backward pass, after the loss's gradient has reached it, it updates ages
and utilities of the units before it and replaces some of them (`lop.algos.gnt`). Being part of the network, its state
is in the network's `state_dict` and moves with it to another device.

That is before the optimizer's step, as published: a fresh unit's outgoing weights are zero, and then take that one step
with the gradient of the unit it replaced; and the layers below get their gradient through its fresh incoming weights.
`lop.algos.keep_plastic.KeepPlastic` acts after the step, and clears the optimizer's state.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.gnt import GenerateAndTest, uniform_draw
from lop.algos.units import HiddenLayer


class CBPLayer(nn.Module):
    """What `CBPLinear` and `lop.algos.cbp_conv.CBPConv` share: replaces the units between two modules in `backward`."""

    def __init__(
        self,
        in_layer: nn.Module,
        out_layer: nn.Module,
        norms: tuple[nn.Module | None, ...],
        init: str,
        act_type: str,
        **settings: Any,
    ):
        super().__init__()
        layer = HiddenLayer(in_layer, out_layer, [norm for norm in norms if norm is not None])
        self.gnt = GenerateAndTest([layer], None, [uniform_draw(layer, init, act_type)], **settings)
        self._activations: Tensor | None = None
        if self.gnt.replacement_rate > 0:
            self.register_forward_hook(CBPLayer._keep)
            self.register_full_backward_hook(CBPLayer._replace)

    def forward(self, h: Tensor) -> Tensor:
        """Activations as they come."""
        return h

    def _keep(self, inputs: tuple[Tensor], output: Tensor) -> None:
        if self.training and torch.is_grad_enabled():
            self._activations = inputs[0].detach()

    def _replace(self: Any, grad_input: Any, grad_output: Any) -> None:
        if self._activations is not None:
            self.gnt.gen_and_test([self._activations])
            self._activations = None

    @property
    def util(self) -> Tensor:
        """Running utilities (units,)."""
        return self.gnt.util[0]

    @property
    def ages(self) -> Tensor:
        """Steps since a unit was new, (units,)."""
        return self.gnt.ages[0]


class CBPLinear(CBPLayer):
    """Replaces units of a linear layer.

    Args:
        in_layer: its outputs are the units. out_layer: the linear layer that they feed.
        ln_layer, bn_layer: layer and batch normalisation between the two, if any.
        replacement_rate: fraction of mature units replaced per step; 1e-4 to 1e-6 generally do well, 0 replaces none.
        maturity_threshold: steps that a new unit is left alone; 100 to 10,000 generally do well.
        init: distribution of new weights, `default`, `kaiming`, `lecun` or `xavier`, with the gain of `act_type`.
        util_type: see `lop.algos.utilities`. decay_rate: of the running utilities; 0 takes each step's as it is.

    Raises:
        ValueError: the layers do not fit together, or an impossible setting.

    Example::

        self.fc1, self.fc2 = nn.Linear(784, 100), nn.Linear(100, 10)
        self.cbp1 = CBPLinear(self.fc1, self.fc2, replacement_rate=1e-4)
        ...
        return self.fc2(self.cbp1(F.relu(self.fc1(x))))
    """

    def __init__(
        self,
        in_layer: nn.Linear,
        out_layer: nn.Linear,
        ln_layer: nn.LayerNorm | None = None,
        bn_layer: nn.BatchNorm1d | None = None,
        replacement_rate: float = 1e-4,
        maturity_threshold: float = 100,
        init: str = "kaiming",
        act_type: str = "relu",
        util_type: str = "contribution",
        decay_rate: float = 0,
    ):
        for name, layer in (("in_layer", in_layer), ("out_layer", out_layer)):
            if not isinstance(layer, nn.Linear):
                raise ValueError(f"Invalid {name}: {layer} (allowed: Linear)")
        super().__init__(
            in_layer,
            out_layer,
            (ln_layer, bn_layer),
            init,
            act_type,
            replacement_rate=replacement_rate,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            decay_rate=decay_rate,
        )
