"""Where the units of a hidden layer lie in the tensors around it: all that the algorithms know of layer types.

A hidden layer is the module whose output its units are, the modules that they feed, and normalisation in between. Unit
i is row i of the incoming weights (filter i of a convolution) and, in the outgoing ones, a group of neighbouring
columns: one, or height x width of the feature map where a convolution is flattened into a linear layer.

| outgoing          | activations h                   | samples                | columns                |
|-------------------|---------------------------------|------------------------|------------------------|
| Linear            | (..., units)                    | all but the last axis  | units                  |
| Linear, flattened | (batch, units * height * width) | batch                  | units * height * width |
| Conv1d, 2d, 3d    | (batch, units, *space)          | batch * space          | units                  |
"""

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules import batchnorm, instancenorm

from lop._compat import registered_parameter
from lop.algos.magnitudes import channel_magnitudes, column_magnitudes, row_magnitudes
from lop.nets.online_norm import OnlineNorm

Draw = Callable[[int], Tensor]  # fresh incoming weights (n, fan_in) for n units
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
WEIGHT_LAYERS = (nn.Linear, *CONVOLUTIONS)
NORMALISATIONS = (
    *(getattr(batchnorm, name) for name in batchnorm.__all__),
    *(getattr(instancenorm, name) for name in instancenorm.__all__),
    *(nn.LayerNorm, nn.GroupNorm, OnlineNorm),
)
NEUTRAL = {"weight": 1, "running_var": 1}  # of normalisation; all else is 0


class HiddenLayer:
    """The units between one linear or convolutional module and the one, or ones, that they feed.

    Args:
        incoming: its outputs, or channels, are the units.
        outgoing: the module that they feed; several if they feed several heads in the same shape.
        norms: normalisation between them, with parameters or statistics by unit.

    Raises:
        ValueError: the modules do not fit together.
    """

    def __init__(self, incoming: nn.Module, outgoing: nn.Module | Sequence[nn.Module], norms: Sequence[nn.Module] = ()):
        # Any, because to a type checker a module's weight may be a module.
        self.incoming: Any = incoming
        self.outgoing: list[Any] = [outgoing] if isinstance(outgoing, nn.Module) else list(outgoing)
        self.norms: list[Any] = list(norms)
        for module in (self.incoming, *self.outgoing):
            if not isinstance(module, WEIGHT_LAYERS):
                raise ValueError(f"Invalid layer: {module} (allowed: Linear, Conv1d, Conv2d, Conv3d)")
        self._refuse_computed_weights()
        self.units: int = cast(Tensor, self.incoming.weight).shape[0]
        self.feeds_convolution = isinstance(self.outgoing[0], CONVOLUTIONS)
        self.columns = self.outgoing[0].weight.shape[1]
        for module in self.outgoing:
            if getattr(module, "groups", 1) != 1:
                raise ValueError(f"Invalid outgoing layer: {module} (allowed: groups=1, so that every unit feeds it)")
            fits = module.weight.shape[1] == self.columns and isinstance(module, CONVOLUTIONS) == self.feeds_convolution
            flattened = isinstance(self.incoming, CONVOLUTIONS) and not self.feeds_convolution
            if not fits or self.columns % self.units or (self.columns != self.units and not flattened):
                raise ValueError(f"Invalid layers: {module} does not take the outputs of {incoming}")
        self.inputs = self.columns // self.units  # of the outgoing layer that one unit feeds
        for norm in self.norms:
            if _features(norm) not in self._feature_shapes():
                raise ValueError(f"Invalid normalisation: {norm} is not by the {self.units} units of {incoming}")

    def _feature_shapes(self) -> list[tuple]:
        """What a normalisation may be over: units, columns once flattened; () stands for the sizes of space."""
        return [
            (self.units,),
            (self.columns,),
            *([(self.units, ())] if isinstance(self.incoming, CONVOLUTIONS) else []),
        ]

    @property
    def is_plain(self) -> bool:
        """Whether it feeds just one other, of torch's own kinds."""
        return len(self.outgoing) == 1 and type(self.outgoing[0]) in WEIGHT_LAYERS

    @property
    def device(self) -> torch.device:
        return self.incoming.weight.device

    @property
    def fan_in(self) -> int:
        return self.incoming.weight[0].numel()

    def samples(self, h: Tensor) -> Tensor:
        """Activations h of a layer that feeds linear layers, as these receive them, as (samples, columns)."""
        if h.shape[-1] != self.columns:
            raise ValueError(f"Invalid activations: shape {tuple(h.shape)} (allowed: (..., {self.columns}))")
        return h if h.ndim == 2 else h.reshape(-1, self.columns)

    def columns_last(self, h: Tensor, w_in: Tensor, w_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Views (..., columns) of activations, (units, ...) of incoming and (..., columns) of outgoing weights:
        contiguous, if a convolution's channels lie last in memory."""
        if self.feeds_convolution:
            self._refuse_other_than_maps(h)
            h, w_out = h.movedim(1, -1), w_out.movedim(1, -1)
        elif h.is_contiguous():
            h = self.samples(h)
        return h, w_in if w_in.is_contiguous() else w_in.movedim(1, -1), w_out

    def _refuse_other_than_maps(self, h: Tensor) -> None:
        if h.ndim < 3 or h.shape[1] != self.units:
            raise ValueError(f"Invalid activations: shape {tuple(h.shape)} (allowed: (batch, {self.units}, *space))")

    def per_unit(self, columns: Tensor) -> Tensor:
        """Mean (units,) of values (columns,) over the columns of each unit."""
        return columns if self.inputs == 1 else columns.view(self.units, self.inputs).mean(1)

    def per_column(self, units: Tensor) -> Tensor:
        """Values (units,) repeated as (columns,)."""
        return units if self.inputs == 1 else units.repeat_interleave(self.inputs)

    def activity(self, h: Tensor, centre: Tensor | None = None) -> Tensor:
        """mean|h - centre| over the samples, (columns,), of activations h, and centre (columns,), 0 if None."""
        if self.feeds_convolution:
            self._refuse_other_than_maps(h)
            return channel_magnitudes(h, centre)
        return column_magnitudes(self.samples(h), centre)

    def average(self, h: Tensor) -> Tensor:
        """mean h over the samples, (columns,)."""
        return h.transpose(0, 1).flatten(1).mean(1) if self.feeds_convolution else self.samples(h).mean(0)

    def incoming_magnitude(self) -> Tensor:
        """mean|w_in|, (units,)."""
        return row_magnitudes(self.incoming.weight.detach().flatten(1))

    def outgoing_magnitude(self) -> Tensor:
        """mean|w_out| over outputs (and taps of a convolution), (columns,)."""
        if len(self.outgoing) == 1:
            return _magnitude_by_column(self.outgoing[0])
        outputs = [module.weight[:, 0].numel() for module in self.outgoing]
        means = (_magnitude_by_column(module) * n for module, n in zip(self.outgoing, outputs, strict=True))
        return sum(means, torch.zeros((), device=self.device)) / sum(outputs)

    @torch.no_grad()
    def renew(self, units: Tensor, draw: Draw) -> None:
        """Give `units` (indices) fresh incoming weights, no bias, neutral normalisation and no outgoing weights.

        Goes through `.data`: the drop-in layers replace units while autograd still holds the weights.
        """
        self._refuse_computed_weights()
        weight = self.incoming.weight.data
        weight[units] = draw(len(units)).to(weight).view(-1, *weight.shape[1:])
        if self.incoming.bias is not None:
            self.incoming.bias.data[units] = 0
        for norm in self.norms:
            for name, tensor in chain(norm.named_parameters(recurse=False), norm.named_buffers(recurse=False)):
                if tensor.ndim:  # all but the number of batches
                    tensor.data.view(self.units, -1)[units] = NEUTRAL.get(name, 0)
        for module in self.outgoing:
            self._columns_of(module.weight.data)[:, units] = 0

    def _refuse_computed_weights(self) -> None:
        """Writing to a weight that is computed from something else would change nothing."""
        for module in (self.incoming, *self.outgoing):
            if registered_parameter(module, "weight") is None:
                found = " ".join(repr(module).split())
                raise ValueError(f"Invalid layer: {found} (allowed: no parametrized or pruned weight)")

    @torch.no_grad()
    def move_mean_to_bias(self, units: Tensor, mean: Tensor) -> None:
        """Add what `units` contributed at their mean activation (columns,) to the biases of the layers they feed."""
        for module in self.outgoing:
            if module.bias is not None:
                weights = self._columns_of(module.weight.data)[:, units].flatten(2)  # (outputs, n, inputs or taps)
                module.bias.data += (weights * mean.view(self.units, self.inputs)[units]).sum((1, 2))

    @torch.no_grad()
    def clear_optimizer_state(self, optimizer: Any, units: Tensor) -> None:
        """Zero the optimizer's per-element state (momentum, moments, counts) of all parameters of `units`."""
        for parameter in self.incoming.parameters(recurse=False):
            for tensor in _state_of(optimizer, parameter):
                tensor[units] = 0
        for parameter in (p for norm in self.norms for p in norm.parameters(recurse=False)):
            for tensor in _state_of(optimizer, parameter):
                tensor.view(self.units, -1)[units] = 0
        for module in self.outgoing:
            for tensor in _state_of(optimizer, module.weight):
                self._columns_of(tensor)[:, units] = 0

    def _columns_of(self, tensor: Tensor) -> Tensor:
        """View (outputs, units, ...) of a tensor shaped as outgoing weights."""
        return tensor if self.feeds_convolution else tensor.view(len(tensor), self.units, self.inputs)


def _features(norm: Any) -> tuple:
    """The shape that a normalisation is over; all axes behind the first of several, those of space, become ()."""
    if isinstance(norm, nn.LayerNorm):
        return norm.normalized_shape if len(norm.normalized_shape) == 1 else (norm.normalized_shape[0], ())
    return (norm.num_channels if isinstance(norm, nn.GroupNorm) else norm.num_features,)


def _magnitude_by_column(module: Any) -> Tensor:
    weight = module.weight.detach()
    return column_magnitudes(weight) if weight.ndim == 2 else channel_magnitudes(weight)


def _state_of(optimizer: Any, parameter: Tensor) -> list[Tensor]:
    """Found by the parameter itself, never by its position; scalars such as a step count are left alone."""
    state = optimizer.state.get(parameter, {})
    return [
        value
        for name, value in state.items()
        if torch.is_tensor(value)
        and value.shape == parameter.shape
        and name != "step_size"  # that of Rprop is no memory
    ]


def hidden_layers(net: Sequence[nn.Module] | nn.Sequential | nn.ModuleList) -> list[HiddenLayer]:
    """Every hidden layer of modules in order of their use, such as `nn.Sequential` or the networks' `layers`."""
    modules = [module for module in net if isinstance(module, WEIGHT_LAYERS + NORMALISATIONS)]
    at = [i for i, module in enumerate(modules) if isinstance(module, WEIGHT_LAYERS)]
    return [HiddenLayer(modules[i], modules[j], modules[i + 1 : j]) for i, j in pairwise(at)]
