"""Generate-and-test for residual networks, with the published signature.

It differs from `lop.algos.gnt` as follows:

- The outgoing weights of a convolution are those of the next convolution in order. Skip connections, including their
  1x1 convolutions, are not changed.
- A unit's activity is (1 - eta) times the sum of mean|h| over all steps; it neither decays nor is reset. Its utility
  is this activity times the current mean|w_out|.
- The replacement rate counts all units of a layer by default, and fractions of a unit always accumulate.
- New weights are normal with standard deviation gain * sqrt(1 / fan_in); scale, bias and running statistics of a new
  unit's normalisation are set to their initial values.
"""

from functools import partial
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

    For arguments that are not listed, see `lop.algos.gnt.GenerateAndTest`.

    Args:
        net: network whose convolutions and final linear layer are registered in the order of their use. Modules named
            `downsample` are ignored.
        hidden_activation: name of the activation, whose gain scales new weights.
        util_type: `weight` or `contribution`; with `running_average` any utility.
        device: ignored; the device is that of the network.
        opt: optimizer of the network. As in the published code, its state is not cleared by default.
        running_average: rank units by the bias-corrected running utility of `lop.algos.gnt` instead.

    Raises:
        ValueError: If an argument is out of range.

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
            raise ValueError(f"util_type must be weight or contribution, got {util_type!r}")
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
    """Statistics of the published residual network; `utility` contains the summed activity."""

    @torch.no_grad()
    def update(self, h: Tensor) -> None:
        """Update ages, mean activations and summed activities by a batch of activations h."""
        h = precise(h)
        self.ages += 1
        if self.track_mean:
            self.mean_activation.mul_(self.decay_rate).add_(self.layer.average(h), alpha=1 - self.decay_rate)
        if self.measure.activity:
            self.utility.add_(self.layer.per_unit(self.layer.activity(h)), alpha=1 - self.decay_rate)

    def corrected_utility(self) -> Tensor:
        """Return the utilities (units,) by which units are ranked, with the current weights."""
        outgoing = self.layer.per_unit(self.layer.outgoing_magnitude())
        return outgoing * self.utility if self.measure.activity else outgoing

    def forget(self, units: Tensor) -> None:
        """Reset ages and mean activations of `units` (indices), but not their summed activity."""
        activity = self.utility[units]
        super().forget(units)
        self.utility[units] = activity


def layers_in_order(net: nn.Module) -> list[HiddenLayer]:
    """Return the hidden layers of a residual network, from one convolution to the next."""
    modules = [
        module
        for name, module in net.named_modules()
        if isinstance(module, WEIGHT_LAYERS + NORMALISATIONS) and "downsample" not in name.split(".")
    ]
    weights = [module for module in modules if isinstance(module, WEIGHT_LAYERS)]
    norms = {a: [b] for a, b in pairwise(modules) if isinstance(a, WEIGHT_LAYERS) and isinstance(b, NORMALISATIONS)}
    return [HiddenLayer(a, b, norms.get(a, [])) for a, b in pairwise(weights)]


def normal_draw(layer: HiddenLayer, activation: str) -> Draw:
    """Return a function that draws normal incoming weights (n, fan_in) for n new units."""
    return partial(_normal, layer.fan_in, gain(activation) * sqrt(1 / layer.fan_in))


def _normal(fan_in: int, std: float, n: int) -> Tensor:
    return torch.empty(n, fan_in).normal_(std=std)
