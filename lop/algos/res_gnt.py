"""Generate-and-test for residual networks, in the published signature.

What differs from `lop.algos.gnt`:

- the outgoing weights of a convolution are those of the next convolution in order; the connections around blocks, and
  the 1x1 convolutions in them, are left alone;
- a unit's activity is (1 - eta) times the *sum* of mean|h| over all steps, never decayed and never reset, and its
  utility that number times mean|w_out|, with the weights of the moment;
- the rate counts all units of a layer, and fractions of a unit always accumulate;
- new weights are normal, with standard deviation gain * sqrt(1 / fan_in), and the normalisation of a new unit neutral.
"""

from itertools import pairwise
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.gnt import GenerateAndTest
from lop.algos.unit_statistics import UnitStatistics, precise
from lop.algos.units import NORMALISATIONS, WEIGHT_LAYERS, Draw, HiddenLayer
from lop.nets.numerics import gain


class ResGnT(GenerateAndTest):
    """Generate-and-test for a residual network such as `lop.nets.torchvision_modified_resnet.ResNet`.

    Args:
        net: its convolutions and its one linear layer are used in the order of their registration; modules named
            `downsample` are left out.
        util_type: `weight` or `contribution`.
        opt, move_mean_to_bias, clear_optimizer_state: see `lop.algos.gnt.GenerateAndTest`; as published the state of
            the optimizer is left alone.
        device: not used: the network's.
        running_average: compare units by the bias-corrected running utility of `lop.algos.gnt` instead, which allows
            every utility.
        others: see `lop.algos.gnt.GenerateAndTest`.

    Example::

        units = ResGnT(net, "relu", replacement_rate=1e-5)
        features = []
        loss = criterion(net(x, features), y)
        loss.backward()
        optimizer.step()
        units.gen_and_test(features)
    """

    def __init__(
        self,
        net: nn.Module,
        hidden_activation: str,
        decay_rate: float = 0.99,
        replacement_rate: float = 1e-4,
        util_type: str = "weight",
        maturity_threshold: float = 1000,
        device: str = "cpu",
        opt: Any = None,
        rate_of: str = "all",
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool | None = None,
        running_average: bool = False,
    ):
        if not running_average and util_type not in ("weight", "contribution"):
            raise ValueError(f"Invalid util_type: {util_type!r} (allowed: weight, contribution)")
        layers = layers_in_order(net)
        super().__init__(
            layers,
            opt,
            [normal_draw(layer, hidden_activation) for layer in layers],
            decay_rate=decay_rate,
            replacement_rate=replacement_rate,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            rate_of=rate_of,
            move_mean_to_bias=move_mean_to_bias,
            clear_optimizer_state=clear_optimizer_state,
            statistics=UnitStatistics if running_average else SummedActivity,
        )


class SummedActivity(UnitStatistics):
    """The published residual network's statistics: `utility` holds the summed activity."""

    @torch.no_grad()
    def update(self, h: Tensor) -> None:
        h = precise(h)
        self.ages += 1
        if self.track_mean:
            self.mean_activation.mul_(self.decay_rate).add_(self.layer.average(h), alpha=1 - self.decay_rate)
        if self.measure.activity:
            self.utility.add_(self.layer.per_unit(self.layer.activity(h)), alpha=1 - self.decay_rate)

    def corrected_utility(self) -> Tensor:
        outgoing = self.layer.per_unit(self.layer.outgoing_magnitude())
        return outgoing * self.utility if self.measure.activity else outgoing

    def forget(self, units: Tensor) -> None:
        activity = self.utility[units]
        super().forget(units)
        self.utility[units] = activity


def layers_in_order(net: nn.Module) -> list[HiddenLayer]:
    """Hidden layers of a residual network, from one convolution to the next."""
    modules = [
        module
        for name, module in net.named_modules()
        if isinstance(module, WEIGHT_LAYERS + NORMALISATIONS) and "downsample" not in name.split(".")
    ]
    weights = [module for module in modules if isinstance(module, WEIGHT_LAYERS)]
    norms = {a: [b] for a, b in pairwise(modules) if isinstance(a, WEIGHT_LAYERS) and isinstance(b, NORMALISATIONS)}
    return [HiddenLayer(a, b, norms.get(a, [])) for a, b in pairwise(weights)]


def normal_draw(layer: HiddenLayer, activation: str) -> Draw:
    """Draws incoming weights (n, fan_in) for n new units of `layer`."""
    std = gain(activation) * sqrt(1 / layer.fan_in)
    return lambda n: torch.empty(n, layer.fan_in).normal_(std=std)
