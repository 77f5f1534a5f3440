"""Ages, utilities and mean activations of a hidden layer's units, kept up to date step by step.

With decay rate eta and instantaneous utility y (`lop.algos.utilities`):

    a += 1;    u = eta u + (1 - eta) y;    units are compared by u / (1 - eta^a)
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
    """Counts the units of a layer older than a threshold, step by step, and only when their number can have changed."""

    def __init__(self, threshold: float):
        self.threshold, self.n, self.recount_in = threshold, 0, 0.0

    def count(self, statistics: "UnitStatistics") -> int:
        """To be called once a step."""
        self.recount_in -= 1
        if self.recount_in <= 0:
            ages = statistics.ages
            young = ages[ages <= self.threshold]
            self.n = len(ages) - len(young)
            self.recount_in = int(self.threshold) + 1 - float(young.max()) if len(young) else inf
        return self.n


class Arrays:
    """Activations, weights and statistics of a plain layer as NumPy sees them, for the compiled update.

    Kept from step to step while the tensors are the same: making them costs as much as the update itself.
    """

    def __init__(self, layer: HiddenLayer):
        self.layer = layer
        self.h: Tensor | None = None
        self.weights: tuple[Tensor, Tensor]
        self.addresses: tuple[int, int]
        self.arrays: tuple[Any, ...] = ()

    def __reduce__(self):
        return Arrays, (self.layer,)  # a copy begins with none

    def of(self, h: Tensor, statistics: "UnitStatistics") -> tuple[Any, ...]:
        """(h, w_in, w_out, ages, utility, mean activation); () if the compiled update does not take them."""
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
            if (len(w_in), w_out.shape[-1]) != (layer.units, layer.columns):  # no loop checks bounds
                raise ValueError(f"Invalid layers: their weights no longer have {layer.units} units")
        return self.arrays

    def _weights_are_the_same(self) -> bool:
        w_in, w_out = self.weights
        return (
            registered_parameter(self.layer.incoming, "weight") is w_in
            and registered_parameter(self.layer.outgoing[0], "weight") is w_out
            and (w_in.data_ptr(), w_out.data_ptr()) == self.addresses
        )


def precise(h: Tensor) -> Tensor:
    """Activations of which means can be taken: those want more than 16 bits."""
    return h.float() if h.dtype.itemsize < 4 else h


class UnitStatistics(Converted, nn.Module):
    """Ages, running utilities (both (units,)) and running mean activations (columns,) of one hidden layer."""

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
        """Take in one batch of activations h, as the outgoing layer receives them."""
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
        """The product y (units,) of `lop.algos.utilities`."""
        layer, y, centre = self.layer, torch.ones_like(self.mean_activation), None
        if self.measure.centred:  # a unit's mean is one number, also where it feeds many inputs
            centre = layer.per_column(layer.per_unit(self.mean_activation) / self.bias_correction())
        if self.measure.activity:
            y *= layer.activity(h, centre)
        if self.measure.outgoing:
            y *= layer.outgoing_magnitude()
        y = layer.per_unit(y)
        return y / layer.incoming_magnitude() if self.measure.incoming else y

    def bias_correction(self) -> Tensor:
        """1 - eta^a, (units,)."""
        return 1 - self.decay_rate**self.ages

    def corrected_utility(self) -> Tensor:
        """Utilities (units,) by which units are compared."""
        return self.utility if self.utility_type == "random" else self.utility / self.bias_correction()

    @torch.no_grad()
    def least_useful(self, n: int) -> Tensor:
        """Indices of the n mature units of lowest utility."""
        mature = torch.where(self.ages > self.mature.threshold)[0]
        return mature[torch.topk(-self.corrected_utility()[mature], n)[1]]

    def forget(self, units: Tensor) -> None:
        """Start `units` (indices) anew."""
        self.ages[units] = 0
        self.utility[units] = 0
        self.mean_activation.view(self.layer.units, -1)[units] = 0
        self.mature.recount_in = 0

    def after_conversion(self, buffers: dict[str, Tensor]) -> None:
        """Keep 32 bits: 16 could not count to 257."""
        for name, old in buffers.items():
            new = getattr(self, name)
            if new.dtype.itemsize < 4:
                setattr(self, name, old.to(new.device))
        self.forget_tensors()

    def forget_tensors(self) -> None:
        """Drop what was derived from the tensors; to be called after they have been replaced or overwritten."""
        self.mature.recount_in = 0
        if self._arrays:
            self._arrays.h = None


def _after_loading(statistics: UnitStatistics, incompatible_keys: Any) -> None:
    statistics.forget_tensors()
