"""Generate-and-test: replace the least useful mature units of a network by new ones.

The core of continual backpropagation (Algorithm 1 and Methods of the paper). For every hidden layer, after every step
of the optimizer:

1. ages a += 1;
2. utilities u = eta u + (1 - eta) y, where y is the instantaneous utility, and their bias-corrected running means
   u / (1 - eta^a);
3. a share rho (replacement rate) of the units older than the maturity threshold, those of lowest utility, gets fresh
   incoming weights, zero outgoing weights, zero utility and age zero.

With h a unit's activation, mean over the batch, w_in and w_out its incoming and outgoing weights:

| utility                  | y                                             |
|--------------------------|-----------------------------------------------|
| contribution             | mean|h| * mean|w_out|                         |
| zero_contribution        | mean|h - f| * mean|w_out|, f the running mean of h |
| adaptable_contribution   | mean|h - f| * mean|w_out| / mean|w_in|        |
| feature_by_input         | mean|h - f| / mean|w_in|                      |
| weight                   | mean|w_out|                                   |
| adaptation               | 1 / mean|w_in|                                |
| random                   | uniform noise, drawn anew every step          |
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.units import HiddenLayer, hidden_layers
from lop.nets.initialisation import gain, uniform_bound

UTILITIES = (
    "contribution",
    "zero_contribution",
    "adaptable_contribution",
    "feature_by_input",
    "weight",
    "adaptation",
    "random",
)
CENTRED = ("zero_contribution", "adaptable_contribution", "feature_by_input")


class UnitStatistics:
    """Ages (units,), running utilities (units,) and running mean activations (units, inputs) of one hidden layer."""

    def __init__(self, layer: HiddenLayer, decay_rate: float, utility_type: str, track_mean: bool):
        self.layer, self.decay_rate, self.utility_type = layer, decay_rate, utility_type
        self.track_mean = track_mean or utility_type in CENTRED
        weights = layer.incoming_weights()
        self.ages = weights.new_zeros(layer.units)
        self.utility = weights.new_zeros(layer.units)
        self.mean_activation = torch.zeros_like(layer.outgoing_weights()[0])
        self.to_replace = 0.0  # the fraction of a unit that is still owed when replacements accumulate

    def bias_correction(self) -> Tensor:
        """1 - eta^a, (units,)."""
        return 1 - self.decay_rate**self.ages

    def update(self, h: Tensor) -> None:
        """Take in one batch of activations, shaped as `HiddenLayer.fold` says."""
        self.ages += 1
        h = self.layer.fold(h)
        if self.track_mean:
            self.mean_activation.mul_(self.decay_rate).add_(h.mean(0), alpha=1 - self.decay_rate)
        self.utility.mul_(self.decay_rate).add_(self._instantaneous_utility(h), alpha=1 - self.decay_rate)

    def _instantaneous_utility(self, h: Tensor) -> Tensor:
        """y of the table above, (units,)."""
        if self.utility_type == "random":
            return torch.zeros_like(self.utility)
        if self.utility_type == "adaptation":
            return 1 / self._incoming_magnitude()
        magnitude = self.layer.outgoing_weights().abs().mean(0)  # (units, inputs)
        if self.utility_type == "weight":
            return magnitude.mean(1)
        if self.utility_type == "contribution":
            return (magnitude * h.abs().mean(0)).mean(1)
        centred = (h - self.mean_activation / self.bias_correction()[:, None]).abs().mean(0)
        if self.utility_type == "zero_contribution":
            return (magnitude * centred).mean(1)
        if self.utility_type == "feature_by_input":
            return centred.mean(1) / self._incoming_magnitude()
        return (magnitude * centred).mean(1) / self._incoming_magnitude()

    def _incoming_magnitude(self) -> Tensor:
        return self.layer.incoming_weights().abs().mean(1)

    def least_useful(self, eligible: Tensor, n: int) -> Tensor:
        """Indices of the n units of lowest bias-corrected utility among `eligible` (indices)."""
        utility = torch.rand(self.layer.units).to(self.ages.device) if self.utility_type == "random" else self.utility
        corrected = utility / self.bias_correction()
        return eligible[torch.topk(-corrected[eligible], n)[1]]

    def forget(self, units: Tensor) -> None:
        """Start `units` (indices) anew."""
        self.utility[units] = 0
        self.mean_activation[units] = 0
        self.ages[units] = 0

    def state_dict(self) -> dict:
        return {
            "ages": self.ages,
            "utility": self.utility,
            "mean_activation": self.mean_activation,
            "to_replace": self.to_replace,
        }

    def load_state_dict(self, state: dict) -> None:
        for name in ("ages", "utility", "mean_activation"):
            getattr(self, name).copy_(state[name])
        self.to_replace = state["to_replace"]


class GnT:
    """Generate-and-test for a plain network of linear layers.

    Args:
        net: modules in order; every pair of neighbouring linear or convolutional layers has a hidden layer between.
        hidden_activation: its gain scales the bound of new weights (see `lop.nets.initialisation`).
        opt: the optimizer of `net`'s parameters; anything whose `state[parameter]` holds its state, or None.
        replacement_rate: share of a layer's mature units that is replaced per step, in [0, 1].
        maturity_threshold: a unit may be replaced when its age exceeds this number of steps.
        accumulate: carry fractions of a unit over to the next step; else replace one unit with that probability.
        move_mean_to_bias: add the removed units' mean contribution to the next layer's bias, as the paper's text says.
            The published code zeroes the mean first, so the default moves nothing.
        clear_optimizer_state: zero the optimizer's momentum and moments of replaced units. The published PPO does not.

    Units are chosen in all layers first and their weights drawn after, layer by layer, from torch's CPU generator.
    """

    def __init__(
        self,
        net: nn.Sequential,
        hidden_activation: str,
        opt: Any,
        decay_rate: float = 0.99,
        replacement_rate: float = 1e-4,
        init: str = "kaiming",
        device: str = "cpu",
        maturity_threshold: int = 20,
        util_type: str = "contribution",
        accumulate: bool = False,
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool = False,
    ):
        if not 0 <= replacement_rate <= 1:
            raise ValueError(f"Invalid replacement_rate: {replacement_rate} (allowed: 0 to 1)")
        if not 0 <= decay_rate < 1:
            raise ValueError(f"Invalid decay_rate: {decay_rate} (allowed: 0 up to, not including, 1)")
        if maturity_threshold < 0 or not isfinite(maturity_threshold):
            raise ValueError(f"Invalid maturity_threshold: {maturity_threshold} (allowed: 0 and more)")
        if util_type not in UTILITIES:
            raise ValueError(f"Invalid util_type: {util_type!r} (allowed: {', '.join(UTILITIES)})")
        self.opt, self.device = opt, device
        self.replacement_rate, self.maturity_threshold = replacement_rate, maturity_threshold
        self.accumulate, self.move_mean_to_bias = accumulate, move_mean_to_bias
        self.clear_optimizer_state = clear_optimizer_state
        self.layers = hidden_layers(net)
        self.statistics = [UnitStatistics(layer, decay_rate, util_type, move_mean_to_bias) for layer in self.layers]
        self.bounds = [new_weight_bound(layer, init, hidden_activation) for layer in self.layers]

    def gen_and_test(self, features: Sequence[Any]) -> list[Tensor]:
        """One step, with the hidden activations (batch, units) of the forward pass before the optimizer's step.

        Returns the indices of the units that were replaced, one tensor a hidden layer. A trailing None, which stands
        for the output layer in published scripts, is ignored.
        """
        if self.replacement_rate == 0:
            return [_no_units(layer) for layer in self.layers]
        with torch.no_grad():
            chosen = [self._test(s, h) for s, h in zip(self.statistics, features, strict=False)]
            for layer_index, units in enumerate(chosen):
                if len(units):
                    self._replace(layer_index, units)
        return chosen

    def _test(self, statistics: UnitStatistics, h: Tensor) -> Tensor:
        """Update one layer's statistics and choose the units to replace."""
        statistics.update(h)
        eligible = torch.where(statistics.ages > self.maturity_threshold)[0]
        n = self._how_many(statistics, len(eligible))
        return statistics.least_useful(eligible, n) if n else _no_units(statistics.layer)

    def _how_many(self, statistics: UnitStatistics, n_eligible: int) -> int:
        if n_eligible == 0:
            return 0
        n = self.replacement_rate * n_eligible
        if self.accumulate:
            statistics.to_replace += n
            n = int(statistics.to_replace)
            statistics.to_replace -= n
        elif n < 1:
            n = float(torch.rand(1)) <= n
        return int(n)

    def _replace(self, index: int, units: Tensor) -> None:
        layer, statistics = self.layers[index], self.statistics[index]
        if self.move_mean_to_bias and layer.outgoing.bias is not None:
            mean = statistics.mean_activation[units] / statistics.bias_correction()[units, None]  # (n, inputs)
            layer.outgoing.bias += (layer.outgoing_weights()[:, units] * mean).sum((1, 2))
        layer.renew(units, uniform_draw(layer, self.bounds[index]))
        statistics.forget(units)
        if self.clear_optimizer_state:
            layer.clear_optimizer_state(self.opt, units)

    def state_dict(self) -> dict:
        return {"layers": [statistics.state_dict() for statistics in self.statistics]}

    def load_state_dict(self, state: dict) -> None:
        for statistics, layer_state in zip(self.statistics, state["layers"], strict=True):
            statistics.load_state_dict(layer_state)


def new_weight_bound(layer: HiddenLayer, init: str, activation: str) -> float:
    """Bound of the uniform distribution that a new unit's incoming weights come from: the initial one."""
    weight = layer.incoming.weight
    return uniform_bound(weight[0].numel(), weight.shape[0], init, gain(activation))


def uniform_draw(layer: HiddenLayer, bound: float):
    """A function that draws incoming weights (n, fan_in) for n new units from torch's CPU generator."""
    fan_in = layer.incoming.weight[0].numel()
    return lambda n: torch.empty(n, fan_in).uniform_(-bound, bound)


def _no_units(layer: HiddenLayer) -> Tensor:
    return torch.empty(0, dtype=torch.long, device=layer.incoming.weight.device)
