"""Continual backpropagation as a layer after an activation, without changes to the training loop.

The layer returns its input. In the backward pass, after the loss's gradient has reached it, it updates ages and
utilities of the units of the preceding layer and replaces some of them (`lop.algos.gnt`). Its state is part of the
network's `state_dict` and moves to another device with the network.

As in the published code, units are replaced before the optimizer's step. The outgoing weights of a new unit start at
zero, and the step then applies to them the gradient of the unit that it replaced; gradients of preceding layers pass
through its new incoming weights. `lop.algos.keep_plastic.KeepPlastic`, in contrast, replaces units after the step and
clears the optimizer's state.
"""

from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.gnt import GenerateAndTest, uniform_draw
from lop.algos.units import HiddenLayer


class CBPLayer(nn.Module):
    """Base class of `CBPLinear` and `lop.algos.cbp_conv.CBPConv`, which replaces units in the backward pass."""

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
        """Return the activations unchanged."""
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
        """Steps since each unit was replaced or created, (units,)."""
        return self.gnt.ages[0]


class CBPLinear(CBPLayer):
    """Layer that replaces units of a linear layer.

    Args:
        in_layer: linear layer whose outputs are the units.
        out_layer: linear layer that the units feed.
        ln_layer: layer normalisation between the two, if any.
        bn_layer: batch normalisation between the two, if any.
        replacement_rate: fraction of mature units to replace per step; 0 disables replacement. Typical values are 1e-6
            to 1e-4.
        maturity_threshold: number of steps during which a new unit is not replaced. Typical values are 100 to 10,000.
        init: distribution of new weights: `default`, `kaiming`, `lecun` or `xavier`, with the gain of `act_type`.
        act_type: name of the activation.
        util_type: see `lop.algos.utilities`.
        decay_rate: decay rate of the running utilities; with 0, they are those of the last step.

    Raises:
        ValueError: If the layers do not fit together, or a setting is out of range.

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
                raise ValueError(f"{name} must be Linear, got {layer!r}")
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
