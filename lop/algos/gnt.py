"""Generate-and-test: replace the mature units of lowest utility.

This is the core of continual backpropagation (Algorithm 1 and Methods of the paper). After each optimizer step, for
each hidden layer:

1. Increment the ages, a += 1.
2. Update the utilities, u = eta u + (1 - eta) y, with decay rate eta and the instantaneous utility y defined in
   `lop.algos.utilities`. The bias-corrected utility is u / (1 - eta^a).
3. Replace a fraction rho (the replacement rate) of the units older than the maturity threshold, those of lowest
   utility: re-initialise their incoming weights, and set their outgoing weights, utilities and ages to zero.

`GenerateAndTest` implements this for any layers. `GnT` has the published signature for sequential networks; further
variants are `lop.algos.convGnT`, `lop.algos.res_gnt` and the layers in `lop.algos.cbp_linear` and `lop.algos.cbp_conv`.
"""

from collections.abc import Sequence
from functools import partial
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.unit_statistics import UnitStatistics
from lop.algos.units import Draw, HiddenLayer, hidden_layers
from lop.algos.utilities import UTILITIES
from lop.nets.numerics import gain, uniform_bound

NOTHING = torch.empty(0, dtype=torch.long)  # no units


class GenerateAndTest(nn.Module):
    """Generate-and-test for hidden layers of any type.

    Each step first selects units in all layers, then draws their weights layer by layer from PyTorch's CPU generator.

    Args:
        layers: hidden layers.
        opt: optimizer of their parameters, or any object with a PyTorch-like `state[parameter]`, or None.
        draws: functions that draw new incoming weights (n, fan_in), one per layer.
        decay_rate: decay rate eta of the running means, at least 0 and below 1.
        replacement_rate: fraction of a layer's units to replace per step, from 0 to 1.
        maturity_threshold: age in steps above which a unit may be replaced.
        util_type: see `lop.algos.utilities`.
        accumulate: carry fractions of a unit over to the next step. If False, replace one unit with that probability.
        rate_of: `mature`: the replacement rate refers to the layer's mature units. `all`: it refers to all units of the
            layer, once one of them is mature.
        move_mean_to_bias: add the mean contribution of replaced units to the bias of the next layer, as the paper
            describes. The published code sets that mean to zero first, so by default nothing is moved.
        clear_optimizer_state: zero the optimizer's momentum, moments and step counts of replaced units. As in the
            published code, the default None does so if the optimizer counts the steps of each weight, like `AdamGnT`.
        statistics: class that tracks ages, utilities and mean activations of a layer.

    Raises:
        ValueError: If an argument is out of range.
    """

    def __init__(
        self,
        layers: Sequence[HiddenLayer],
        opt: Any,
        draws: Sequence[Draw],
        *,
        decay_rate: float = 0.99,
        replacement_rate: float = 1e-4,
        maturity_threshold: float = 100,
        util_type: str = "contribution",
        accumulate: bool = True,
        rate_of: str = "mature",
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool | None = None,
        statistics: type[UnitStatistics] = UnitStatistics,
    ):
        super().__init__()
        if not 0 <= replacement_rate <= 1:
            raise ValueError(f"replacement_rate must be between 0 and 1, got {replacement_rate!r}")
        if not 0 <= decay_rate < 1:
            raise ValueError(f"decay_rate must be at least 0 and below 1, got {decay_rate!r}")
        if maturity_threshold < 0 or not isfinite(maturity_threshold):
            raise ValueError(f"maturity_threshold must be non-negative and finite, got {maturity_threshold!r}")
        if util_type not in UTILITIES:
            raise ValueError(f"util_type must be one of {', '.join(UTILITIES)}, got {util_type!r}")
        if rate_of not in ("mature", "all"):
            raise ValueError(f"rate_of must be mature or all, got {rate_of!r}")
        self.layers, self.opt, self.draws = list(layers), opt, list(draws)
        self.replacement_rate, self.maturity_threshold = replacement_rate, maturity_threshold
        self.util_type = util_type
        self.accumulate, self.rate_of, self.move_mean_to_bias = accumulate, rate_of, move_mean_to_bias
        self.clear_optimizer_state = clear_optimizer_state
        self._by_layer = [
            statistics(layer, decay_rate, util_type, maturity_threshold, move_mean_to_bias) for layer in self.layers
        ]
        self.statistics = nn.ModuleList(self._by_layer)
        self.owed = [0.0] * len(self.layers)  # fractions of a unit carried over

    @property
    def ages(self) -> list[Tensor]:
        """Steps since each unit was replaced or created, (units,), one tensor per layer."""
        return [statistics.ages for statistics in self._by_layer]

    @property
    def util(self) -> list[Tensor]:
        """Running utilities (units,), one tensor per layer."""
        return [statistics.utility for statistics in self._by_layer]

    def observe(self, features: Sequence[Any]) -> None:
        """Update ages, utilities and mean activations, the first part of a step.

        All updates are in place, so they can be captured in a CUDA graph (`lop.algos.cuda_graphs`), except for random
        utilities.

        Args:
            features: activations of each layer as the next layer receives them.
        """
        if self.replacement_rate > 0:
            for statistics, h in zip(self._by_layer, features, strict=False):
                statistics.update(h)

    def replace_units(self, features: Sequence[Any], observed: bool = False) -> list[Tensor]:
        """Take one step: update the statistics, then replace units.

        Args:
            features: activations of each layer as the next layer receives them, from the forward pass before the
                optimizer's step. Additional entries, such as the outputs in published scripts, are ignored.
            observed: whether `observe` has already been called with these activations.

        Returns:
            Indices of the replaced units, one tensor per layer.
        """
        chosen = [NOTHING] * len(self.layers)
        if self.replacement_rate == 0:
            return chosen
        replacing = []
        for index, (statistics, h) in enumerate(zip(self._by_layer, features, strict=False)):
            if not observed:
                statistics.update(h)
            n_mature = statistics.mature.count(statistics)
            n = self._how_many(index, n_mature) if n_mature else 0
            if n:
                chosen[index] = statistics.least_useful(n)
                replacing.append(index)
        for index in replacing:
            self._generate(index, chosen[index])
        return chosen

    def gen_and_test(self, features: Sequence[Any], observed: bool = False) -> list[Tensor]:
        """Call `replace_units`; this is its published name."""
        return self.replace_units(features, observed)

    def _how_many(self, index: int, n_mature: int) -> int:
        n = self.replacement_rate * (n_mature if self.rate_of == "mature" else self.layers[index].units)
        if not self.accumulate:
            return int(torch.rand(1).item() <= n) if n < 1 else min(int(n), n_mature)
        self.owed[index] += n
        whole = min(int(self.owed[index]), n_mature)
        self.owed[index] -= whole
        return whole

    @torch.no_grad()
    def _generate(self, index: int, units: Tensor) -> None:
        layer, statistics = self.layers[index], self._by_layer[index]
        if self.move_mean_to_bias:
            layer.move_mean_to_bias(units, statistics.mean_activation / layer.per_column(statistics.bias_correction()))
        layer.renew(units, self.draws[index])
        statistics.forget(units)
        clear = self.clear_optimizer_state
        if layer.has_step_per_weight(self.opt) if clear is None else clear:
            layer.clear_optimizer_state(self.opt, units)

    def get_extra_state(self) -> dict:
        """Return the fractions of a unit that are carried over, for `state_dict`."""
        return {"owed": self.owed}

    def set_extra_state(self, state: dict) -> None:
        """Restore what `get_extra_state` returned."""
        self.owed = list(state["owed"])


class GnT(GenerateAndTest):
    """Generate-and-test for a sequential network, with the published signature.

    For arguments that are not listed, see `GenerateAndTest`.

    Args:
        net: modules in order. There is a hidden layer between each pair of successive linear or convolutional modules.
        hidden_activation: name of the activation, whose gain scales new weights (`lop.nets.numerics`).
        init: distribution of new weights: `default`, `kaiming`, `lecun`, `xavier` or `orthogonal`.
        device: ignored; accepted for compatibility with published scripts.
        loss_func: ignored; accepted for compatibility with published scripts.
    """

    def __init__(
        self,
        net: Sequence[nn.Module] | nn.Sequential | nn.ModuleList,
        hidden_activation: str,
        opt: Any,
        decay_rate: float = 0.99,
        replacement_rate: float = 1e-4,
        init: str = "kaiming",
        device: str = "cpu",
        maturity_threshold: float = 20,
        util_type: str = "contribution",
        loss_func: Any = None,
        accumulate: bool = False,
        rate_of: str = "mature",
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool | None = None,
    ):
        layers = hidden_layers(net)
        super().__init__(
            layers,
            opt,
            [uniform_draw(layer, init, hidden_activation) for layer in layers],
            decay_rate=decay_rate,
            replacement_rate=replacement_rate,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            accumulate=accumulate,
            rate_of=rate_of,
            move_mean_to_bias=move_mean_to_bias,
            clear_optimizer_state=clear_optimizer_state,
        )


def uniform_draw(layer: HiddenLayer, init: str, activation: str) -> Draw:
    """Return a function that draws incoming weights (n, fan_in) for n new units.

    The weights are uniform with the bound of the layer's initial weights. As in the published code, a convolution has
    PyTorch's default bound whatever `init` is, and SELU the bound of `lecun`.
    """
    if activation.lower() == "selu":
        init = "lecun"
    if not isinstance(layer.incoming, nn.Linear):
        init = "default"
    return partial(_uniform, layer.fan_in, uniform_bound(layer.fan_in, layer.units, init, gain(activation)))


def _uniform(fan_in: int, bound: float, n: int) -> Tensor:
    return torch.empty(n, fan_in).uniform_(-bound, bound)
