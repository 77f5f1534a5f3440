"""Ages, utilities and mean activations of a hidden layer's units, updated step by step.

With decay rate eta and instantaneous utility y (`lop.algos.utilities`):

    a += 1;    u = eta u + (1 - eta) y;    units are ranked by u / (1 - eta^a)
"""

from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from lop._compat import Converted, registered_parameter
from lop.algos.magnitudes import runs_compiled
from lop.algos.units import HiddenLayer
from lop.algos.utilities import UTILITIES


class MatureCounter:
    """Count of a layer's units older than a threshold, recomputed only when it can have changed."""

    def __init__(self, threshold: float):
        self.threshold, self.n, self.recount_in = threshold, 0, 0.0

    def count(self, statistics: "UnitStatistics") -> int:
        """Return the number of mature units; call once per step."""
        self.recount_in -= 1
        if self.recount_in <= 0:
            ages = statistics.ages
            young = ages[ages <= self.threshold]
            self.n = len(ages) - len(young)
            self.recount_in = int(self.threshold) + 1 - float(young.max()) if len(young) else inf
        return self.n


class Arrays:
    """NumPy views of a layer's activations, weights and statistics for the compiled update.

    They are kept while the tensors are the same, because creating them takes as long as the update.
    """

    def __init__(self, layer: HiddenLayer):
        self.layer = layer
        self.h: Tensor | None = None
        self.weights: tuple[Tensor, Tensor]
        self.addresses: tuple[int, int]
        self.arrays: tuple[Any, ...] = ()

    def __reduce__(self):
        return Arrays, (self.layer,)  # views are not copied

    def of(self, h: Tensor, statistics: "UnitStatistics") -> tuple[Any, ...]:
        """Return the arrays (h, w_in, w_out, ages, utility, mean activation).

        Args:
            h: activations, as the next layer receives them.
            statistics: statistics of the layer.

        Returns:
            The arrays; an empty tuple if the compiled update does not support the tensors.

        Raises:
            ValueError: If the number of units has changed.
        """
        if h is not self.h or not self._weights_are_the_same():
            layer = self.layer
            self.h, self.weights = h, (layer.incoming.weight, layer.outgoing[0].weight)
            self.addresses = (self.weights[0].data_ptr(), self.weights[1].data_ptr())
            found, w_in, w_out = layer.columns_last(h, *self.weights)
            own = (statistics.ages, statistics.utility, statistics.mean_activation)
            self.arrays = ()
            if all(map(runs_compiled, (found, w_in, w_out, *own))):
                matrices = (found.flatten(0, -2), w_in.flatten(1), w_out.flatten(0, -2))
                self.arrays = tuple(tensor.detach().numpy() for tensor in (*matrices, *own))
            if (len(w_in), w_out.shape[-1]) != (layer.units, layer.columns):  # compiled loops do not check bounds
                raise ValueError(f"weights must be of {layer.units} units, got {len(w_in)}, {w_out.shape[-1]}")
        return self.arrays

    def _weights_are_the_same(self) -> bool:
        w_in, w_out = self.weights
        return (
            registered_parameter(self.layer.incoming, "weight") is w_in
            and registered_parameter(self.layer.outgoing[0], "weight") is w_out
            and (w_in.data_ptr(), w_out.data_ptr()) == self.addresses
        )


def precise(h: Tensor) -> Tensor:
    """Return activations in a dtype in which means can be computed: float32 instead of a 16-bit dtype."""
    return h.float() if h.dtype.itemsize < 4 else h


class UnitStatistics(Converted, nn.Module):
    """Ages, running utilities and running mean activations of one hidden layer.

    Args:
        layer: hidden layer.
        decay_rate: decay rate of the running means.
        utility_type: see `lop.algos.utilities`.
        maturity_threshold: age in steps above which a unit may be replaced.
        track_mean: update mean activations even if the utility does not use them.

    Attributes:
        ages: steps since each unit was replaced or created, (units,).
        utility: running utilities (units,).
        mean_activation: running mean activations (columns,).
    """

    ages: Tensor
    utility: Tensor
    mean_activation: Tensor

    def __init__(
        self,
        layer: HiddenLayer,
        decay_rate: float,
        utility_type: str,
        maturity_threshold: float,
        track_mean: bool = False,
    ):
        super().__init__()
        self.layer, self.decay_rate, self.utility_type = layer, decay_rate, utility_type
        self.measure = UTILITIES[utility_type]
        self.track_mean = track_mean or self.measure.centred
        self.register_buffer("ages", torch.zeros(layer.units, device=layer.device))
        self.register_buffer("utility", torch.zeros(layer.units, device=layer.device))
        self.register_buffer("mean_activation", torch.zeros(layer.columns, device=layer.device))
        self.mature = MatureCounter(maturity_threshold)
        self._arrays = Arrays(layer) if layer.is_plain and utility_type != "random" else None
        self.register_load_state_dict_post_hook(_after_loading)

    def update(self, h: Tensor) -> None:
        """Update the statistics with a batch of activations h, as the next layer receives them."""
        if self._arrays and (arrays := self._arrays.of(h, self)):
            from lop.algos.loops import update_statistics  # see `lop.algos.magnitudes`

            update_statistics(*arrays, self.decay_rate, self.track_mean, *self.measure)
        else:
            self._update(h)

    @torch.no_grad()
    def _update(self, h: Tensor) -> None:
        h = precise(h)
        self.ages += 1
        if self.track_mean:
            self.mean_activation.mul_(self.decay_rate).add_(self.layer.average(h), alpha=1 - self.decay_rate)
        if self.utility_type == "random":
            self.utility.copy_(torch.rand(self.layer.units))
        else:
            self.utility.mul_(self.decay_rate).add_(self._instantaneous_utility(h), alpha=1 - self.decay_rate)

    def _instantaneous_utility(self, h: Tensor) -> Tensor:
        """Return the utilities y (units,) of `lop.algos.utilities`."""
        layer, y, centre = self.layer, torch.ones_like(self.mean_activation), None
        if self.measure.centred:  # one mean per unit, even if the unit feeds several inputs
            centre = layer.per_column(layer.per_unit(self.mean_activation) / self.bias_correction())
        if self.measure.activity:
            y *= layer.activity(h, centre)
        if self.measure.outgoing:
            y *= layer.outgoing_magnitude()
        y = layer.per_unit(y)
        return y / layer.incoming_magnitude() if self.measure.incoming else y

    def bias_correction(self) -> Tensor:
        """Return 1 - eta^a, (units,)."""
        return 1 - self.decay_rate**self.ages

    def corrected_utility(self) -> Tensor:
        """Return the utilities (units,) by which units are ranked."""
        return self.utility if self.utility_type == "random" else self.utility / self.bias_correction()

    @torch.no_grad()
    def least_useful(self, n: int) -> Tensor:
        """Return the indices of the n mature units of lowest utility."""
        mature = torch.where(self.ages > self.mature.threshold)[0]
        return mature[torch.topk(-self.corrected_utility()[mature], n)[1]]

    def forget(self, units: Tensor) -> None:
        """Reset the statistics of `units` (indices)."""
        self.ages[units] = 0
        self.utility[units] = 0
        self.mean_activation.view(self.layer.units, -1)[units] = 0
        self.mature.recount_in = 0

    def after_conversion(self, buffers: dict[str, Tensor]) -> None:
        """Keep 32-bit statistics: bfloat16 cannot represent 257."""
        for name, old in buffers.items():
            new = getattr(self, name)
            if new.dtype.itemsize < 4:
                setattr(self, name, old.to(new.device))
        self.forget_tensors()

    def forget_tensors(self) -> None:
        """Discard cached values; call after tensors have been replaced or overwritten."""
        self.mature.recount_in = 0
        if self._arrays:
            self._arrays.h = None


def _after_loading(statistics: UnitStatistics, incompatible_keys: Any) -> None:
    statistics.forget_tensors()
