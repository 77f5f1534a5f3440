"""ReDo: periodically reset all units that are dormant over a batch (Sokar et al. 2023, arXiv 2302.12902).

A unit is dormant if its mean absolute activation over the batch, divided by the average of this value over its layer,
is at most `threshold`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.gnt import uniform_draw
from lop.algos.units import HiddenLayer, hidden_layers


class ReDo:
    """Reset of the dormant units of a sequential network.

    A reset re-initialises the incoming weights of a unit and sets its bias and its outgoing weights to zero. As in the
    paper's experiments, it changes neither the biases of the next layer nor, by default, the optimizer's state.

    Args:
        net: modules in order, as for `lop.algos.gnt.GnT`.
        hidden_activation: name of the activation, as for `lop.algos.gnt.GnT`.
        threshold: fraction of the layer's mean activity up to which a unit is dormant, non-negative.
        init: distribution of new weights, as for `lop.algos.gnt.GnT`.
        device: ignored.
        reset_period: number of updates between two resets, positive.
        opt: optimizer of the network; required with `clear_optimizer_state`.
        clear_optimizer_state: zero the optimizer's state of reset units.

    Raises:
        ValueError: If `threshold` or `reset_period` is out of range.
    """

    def __init__(
        self,
        net: Sequence[nn.Module] | nn.Sequential | nn.ModuleList,
        hidden_activation: str,
        threshold: float = 0.01,
        init: str = "kaiming",
        device: str = "cpu",
        reset_period: int = 1000,
        opt: Any = None,
        clear_optimizer_state: bool = False,
    ):
        if threshold < 0:
            raise ValueError(f"threshold must be non-negative, got {threshold!r}")
        if reset_period < 1:
            raise ValueError(f"reset_period must be positive, got {reset_period!r}")
        self.threshold, self.reset_period = threshold, reset_period
        self.opt, self.clear_optimizer_state = opt, clear_optimizer_state
        self.layers = hidden_layers(net)
        self.draws = [uniform_draw(layer, init, hidden_activation) for layer in self.layers]
        self.steps_since_last_redo = 0

    @torch.no_grad()
    def replace_units(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Count one update, and reset dormant units if a reset is due.

        Args:
            features: activations of each layer as the next layer receives them.

        Returns:
            Indices of the reset units, one tensor per layer.
        """
        self.steps_since_last_redo += 1
        if self.steps_since_last_redo < self.reset_period:
            return [torch.empty(0, dtype=torch.long, device=layer.device) for layer in self.layers]
        self.steps_since_last_redo = 0
        chosen = [self._dormant(layer, h) for layer, h in zip(self.layers, features, strict=False)]
        for layer, draw, units in zip(self.layers, self.draws, chosen, strict=True):
            if len(units):
                layer.renew(units, draw)
                if self.clear_optimizer_state:
                    layer.clear_optimizer_state(self.opt, units)
        return chosen

    def _dormant(self, layer: HiddenLayer, h: Tensor) -> Tensor:
        activity = layer.per_unit(layer.activity(h))  # (units,)
        return torch.where(activity <= self.threshold * activity.mean())[0]

    def state_dict(self) -> dict:
        """Return the number of updates since the last reset."""
        return {"steps_since_last_redo": self.steps_since_last_redo}

    def load_state_dict(self, state: dict) -> None:
        """Restore what `state_dict` returned."""
        self.steps_since_last_redo = state["steps_since_last_redo"]
