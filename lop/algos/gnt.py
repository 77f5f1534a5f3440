"""Generate-and-test: replace the least useful mature units of a network by new ones.

The core of continual backpropagation (Algorithm 1 and Methods of the paper). For every hidden layer, after every step
of the optimizer:

1. ages a += 1;
2. utilities u = eta u + (1 - eta) y, with the instantaneous utility y of `lop.algos.utilities`, and their
   bias-corrected running means u / (1 - eta^a);
3. a fraction rho (replacement rate) of the units older than the maturity threshold, those of lowest utility, gets fresh
   incoming weights, zero outgoing weights, zero utility and age zero.

`GenerateAndTest` is all of it, for any layers. `GnT` is its name for plain networks, as published;
`lop.algos.convGnT`, `lop.algos.res_gnt` and the drop-in layers are others.
"""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.adam import AdamGnT
from lop.algos.unit_statistics import UnitStatistics
from lop.algos.units import Draw, HiddenLayer, hidden_layers
from lop.algos.utilities import UTILITIES
from lop.nets.numerics import gain, uniform_bound

NOTHING = torch.empty(0, dtype=torch.long)  # indices of no unit


class GenerateAndTest(nn.Module):
    """Generate-and-test for hidden layers of any kind.

    Args:
        layers: the hidden layers.
        opt: the optimizer of their parameters; anything whose `state[parameter]` holds its state, or None.
        draws: for each layer, a function that draws fresh incoming weights (n, fan_in).
        decay_rate: eta of the running means, 0 up to, not including, 1.
        replacement_rate: fraction of a layer's units that is replaced per step, 0 to 1.
        maturity_threshold: a unit may be replaced when its age exceeds this number of steps.
        util_type: see `lop.algos.utilities`.
        accumulate: carry fractions of a unit over to the next step; else replace one unit with that probability.
        rate_of: "mature": the rate counts a layer's mature units; "all": all of them, from its first mature unit on.
        move_mean_to_bias: add the removed units' mean contribution to the next layer's bias, as the paper's text says.
            The published code zeroes the mean first, so the default moves nothing.
        clear_optimizer_state: zero the optimizer's momentum, moments and per-element counts of replaced units. None
            does so for `AdamGnT` only, as published.
        statistics: what is known of a layer's units.

    Units are chosen in all layers first and their weights drawn after, layer by layer, from torch's CPU generator.
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
            raise ValueError(f"Invalid replacement_rate: {replacement_rate} (allowed: 0 to 1)")
        if not 0 <= decay_rate < 1:
            raise ValueError(f"Invalid decay_rate: {decay_rate} (allowed: 0 up to, not including, 1)")
        if maturity_threshold < 0 or not isfinite(maturity_threshold):
            raise ValueError(f"Invalid maturity_threshold: {maturity_threshold} (allowed: 0 and more)")
        if util_type not in UTILITIES:
            raise ValueError(f"Invalid util_type: {util_type!r} (allowed: {', '.join(UTILITIES)})")
        if rate_of not in ("mature", "all"):
            raise ValueError(f"Invalid rate_of: {rate_of!r} (allowed: mature, all)")
        self.layers, self.opt, self.draws = list(layers), opt, list(draws)
        self.replacement_rate, self.maturity_threshold = replacement_rate, maturity_threshold
        self.util_type = util_type
        self.accumulate, self.rate_of, self.move_mean_to_bias = accumulate, rate_of, move_mean_to_bias
        self.clear_optimizer_state = (
            isinstance(opt, AdamGnT) if clear_optimizer_state is None else clear_optimizer_state
        )
        self._by_layer = [
            statistics(layer, decay_rate, util_type, maturity_threshold, move_mean_to_bias) for layer in self.layers
        ]
        self.statistics = nn.ModuleList(self._by_layer)
        self.owed = [0.0] * len(self.layers)  # fractions of a unit carried over

    @property
    def ages(self) -> list[Tensor]:
        """Steps since a unit was new, (units,) a layer."""
        return [statistics.ages for statistics in self._by_layer]

    @property
    def util(self) -> list[Tensor]:
        """Running utilities, (units,) a layer."""
        return [statistics.utility for statistics in self._by_layer]

    def observe(self, features: Sequence[Any]) -> None:
        """Update ages, utilities and mean activations by each layer's activations: the first part of a step.

        Everything is done in place, so it can be captured in a CUDA graph (`lop.algos.cuda_graphs`), except for random
        utilities.
        """
        if self.replacement_rate > 0:
            for statistics, h in zip(self._by_layer, features, strict=False):
                statistics.update(h)

    def replace_units(self, features: Sequence[Any], observed: bool = False) -> list[Tensor]:
        """One step, with each layer's activations in the forward pass before the optimizer's step, as the next layer
        received them; `observed` if `observe` has taken them in.

        Returns the indices of the units that were replaced, one tensor a layer. What follows the last layer's
        activations, such as the output's in published scripts, is ignored.
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
        """Do `replace_units`, under its published name."""
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
        if self.clear_optimizer_state:
            layer.clear_optimizer_state(self.opt, units)

    def get_extra_state(self) -> dict:
        return {"owed": self.owed}

    def set_extra_state(self, state: dict) -> None:
        self.owed = list(state["owed"])


class GnT(GenerateAndTest):
    """Generate-and-test for a plain network, in the published signature.

    Args:
        net: modules in order; every pair of neighbouring linear or convolutional layers has a hidden layer between.
        hidden_activation: its gain scales the bound of new weights (see `lop.nets.initialisation`).
        init: distribution of new weights, `default`, `kaiming`, `lecun`, `xavier` or `orthogonal`.
        device, loss_func: not used; published scripts name them.
        others: see `GenerateAndTest`.
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
    """Draws incoming weights (n, fan_in) for n new units of `layer`: uniform, in the bound of its initial weights.

    A convolution's bound is PyTorch's own whatever the `init`, as published.
    """
    if activation.lower() == "selu":
        init = "lecun"
    if not isinstance(layer.incoming, nn.Linear):
        init = "default"
    bound = uniform_bound(layer.fan_in, layer.units, init, gain(activation))
    return lambda n: torch.empty(n, layer.fan_in).uniform_(-bound, bound)
