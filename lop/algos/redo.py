"""ReDo: every so many updates, reset all units that are dormant over a batch (Sokar et al. 2023, arXiv 2302.12902).

A unit is dormant when mean|h| over the batch, divided by that number's mean over its layer, is at most `threshold`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.gnt import uniform_draw
from lop.algos.units import HiddenLayer, hidden_layers


class ReDo:
    """Resets dormant units of a plain network: fresh incoming weights, zero bias, zero outgoing weights.

    The next layer's biases are left alone, and by default the optimizer's state, as in the paper's experiments.

    Args:
        net: modules in order, as for `lop.algos.gnt.GnT`.
        threshold: dormant up to this fraction of the layer's mean activity, 0 and more.
        reset_period: updates between two resets, 1 and more.
        opt, clear_optimizer_state: zero that optimizer's state of reset units, as for `lop.algos.gnt.GnT`.
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
            raise ValueError(f"Invalid threshold: {threshold} (allowed: 0 and more)")
        if reset_period < 1:
            raise ValueError(f"Invalid reset_period: {reset_period} (allowed: 1 and more)")
        self.threshold, self.reset_period = threshold, reset_period
        self.opt, self.clear_optimizer_state = opt, clear_optimizer_state
        self.layers = hidden_layers(net)
        self.draws = [uniform_draw(layer, init, hidden_activation) for layer in self.layers]
        self.steps_since_last_redo = 0

    @torch.no_grad()
    def replace_units(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Count one update with these hidden activations; returns the indices of the units reset, a tensor a layer."""
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
        return {"steps_since_last_redo": self.steps_since_last_redo}

    def load_state_dict(self, state: dict) -> None:
        self.steps_since_last_redo = state["steps_since_last_redo"]
