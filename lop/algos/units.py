"""Hidden layers: where the units of a layer are located in the weights around it, for every type of layer.

A hidden layer consists of the module whose outputs are the units, the modules that the units feed, and normalisation in
between. Unit i is row i of the incoming weights (filter i of a convolution). In the outgoing weights it is a group of
adjacent columns: one, or height x width of the feature map if a convolution is flattened into a linear layer.

=================  ===============================  =====================  ======================
outgoing           activations h                    samples                columns
=================  ===============================  =====================  ======================
Linear             (..., units)                     all but the last axis  units
Linear, flattened  (batch, units * height * width)  batch                  units * height * width
Conv1d, 2d, 3d     `(batch, units, *space)`         batch * space          units
=================  ===============================  =====================  ======================

Activations of a flattened layer may also have their shape before flattening, (batch, units, height, width).
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

Draw = Callable[[int], Tensor]  # returns incoming weights (n, fan_in) for n units
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
WEIGHT_LAYERS = (nn.Linear, *CONVOLUTIONS)
NORMALISATIONS = (
    *(getattr(batchnorm, name) for name in batchnorm.__all__),
    *(getattr(instancenorm, name) for name in instancenorm.__all__),
    *(nn.LayerNorm, nn.GroupNorm, OnlineNorm),
)
NEUTRAL = {"weight": 1, "running_var": 1}  # initial values of a normalisation; all others are 0


class HiddenLayer:
    """Units between a linear or convolutional module and the modules that they feed.

    Args:
        incoming: module whose outputs or channels are the units.
        outgoing: module that the units feed, or several modules, such as heads, that take inputs of the same shape.
        norms: normalisation in between, with parameters or statistics per unit.

    Raises:
        ValueError: If the modules do not fit together.
    """

    def __init__(self, incoming: nn.Module, outgoing: nn.Module | Sequence[nn.Module], norms: Sequence[nn.Module] = ()):
        # Any, since type checkers infer Tensor | Module for attributes of modules.
        self.incoming: Any = incoming
        self.outgoing: list[Any] = [outgoing] if isinstance(outgoing, nn.Module) else list(outgoing)
        self.norms: list[Any] = list(norms)
        for module in (self.incoming, *self.outgoing):
            if not isinstance(module, WEIGHT_LAYERS):
                raise ValueError(f"layer must be Linear, Conv1d, Conv2d or Conv3d, got {module!r}")
        self._refuse_computed_weights()
        self.units: int = cast(Tensor, self.incoming.weight).shape[0]
        self.feeds_convolution = isinstance(self.outgoing[0], CONVOLUTIONS)
        self.columns = self.outgoing[0].weight.shape[1]
        for module in self.outgoing:
            if getattr(module, "groups", 1) != 1:
                raise ValueError(f"outgoing layer must have groups=1, so that all units feed it, got {module!r}")
            fits = module.weight.shape[1] == self.columns and isinstance(module, CONVOLUTIONS) == self.feeds_convolution
            flattened = isinstance(self.incoming, CONVOLUTIONS) and not self.feeds_convolution
            if not fits or self.columns % self.units or (self.columns != self.units and not flattened):
                raise ValueError(f"outgoing layer must take the outputs of {incoming!r}, got {module!r}")
        self.inputs = self.columns // self.units  # columns per unit
        for norm in self.norms:
            if _features(norm) not in self._feature_shapes():
                raise ValueError(f"normalisation must be over the {self.units} units of {incoming!r}, got {norm!r}")

    def _feature_shapes(self) -> list[tuple]:
        """Return the shapes that a normalisation may have; () stands for the spatial axes."""
        return [
            (self.units,),
            (self.columns,),
            *([(self.units, ())] if isinstance(self.incoming, CONVOLUTIONS) else []),
        ]

    @property
    def is_plain(self) -> bool:
        """Whether the units feed a single module of one of PyTorch's own types."""
        return len(self.outgoing) == 1 and type(self.outgoing[0]) in WEIGHT_LAYERS

    @property
    def device(self) -> torch.device:
        """Device of the incoming weights."""
        return self.incoming.weight.device

    @property
    def fan_in(self) -> int:
        """Number of incoming weights per unit."""
        return self.incoming.weight[0].numel()

    def samples(self, h: Tensor) -> Tensor:
        """Return activations as (samples, columns); for layers that feed linear modules.

        Args:
            h: activations (..., columns), as the outgoing modules receive them, or feature maps
                `(batch, units, *space)` before they are flattened.

        Raises:
            ValueError: If the outgoing modules do not take activations of this shape.
        """
        if h.shape[-1] != self.columns and isinstance(self.incoming, CONVOLUTIONS) and h.shape[1:2] == (self.units,):
            h = h.flatten(1)
        if h.shape[-1] != self.columns:
            raise ValueError(f"activations must have shape (..., {self.columns}), got {tuple(h.shape)}")
        return h if h.ndim == 2 else h.reshape(-1, self.columns)

    def columns_last(self, h: Tensor, w_in: Tensor, w_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return views of activations and weights with the columns last, contiguous in the channels-last memory format.

        Args:
            h: activations, as the outgoing module receives them.
            w_in: incoming weights.
            w_out: outgoing weights.

        Returns:
            Activations (..., columns), incoming weights (units, ...) and outgoing weights (..., columns).

        Raises:
            ValueError: If the activations do not have the shape that the outgoing module takes.
        """
        if self.feeds_convolution:
            self._refuse_other_than_maps(h)
            h, w_out = h.movedim(1, -1), w_out.movedim(1, -1)
        elif h.is_contiguous():
            h = self.samples(h)
        return h, w_in if w_in.is_contiguous() else w_in.movedim(1, -1), w_out

    def _refuse_other_than_maps(self, h: Tensor) -> None:
        if h.ndim < 3 or h.shape[1] != self.units:
            raise ValueError(f"activations must have shape (batch, {self.units}, *space), got {tuple(h.shape)}")

    def per_unit(self, columns: Tensor) -> Tensor:
        """Return the mean (units,) of values (columns,) over the columns of each unit."""
        return columns if self.inputs == 1 else columns.view(self.units, self.inputs).mean(1)

    def per_column(self, units: Tensor) -> Tensor:
        """Return values (units,) repeated for each column, (columns,)."""
        return units if self.inputs == 1 else units.repeat_interleave(self.inputs)

    def activity(self, h: Tensor, centre: Tensor | None = None) -> Tensor:
        """Return mean|h - centre| over the samples, (columns,).

        Args:
            h: activations, as the outgoing modules receive them.
            centre: values (columns,); 0 if None.

        Raises:
            ValueError: If the activations do not have the shape that the outgoing modules take.
        """
        if self.feeds_convolution:
            self._refuse_other_than_maps(h)
            return channel_magnitudes(h, centre)
        return column_magnitudes(self.samples(h), centre)

    def average(self, h: Tensor) -> Tensor:
        """Return the mean of activations h over the samples, (columns,)."""
        return h.transpose(0, 1).flatten(1).mean(1) if self.feeds_convolution else self.samples(h).mean(0)

    def incoming_magnitude(self) -> Tensor:
        """Return mean|w_in|, (units,)."""
        return row_magnitudes(self.incoming.weight.detach().flatten(1))

    def outgoing_magnitude(self) -> Tensor:
        """Return mean|w_out| over outputs, and kernel positions of a convolution, (columns,)."""
        if len(self.outgoing) == 1:
            return _magnitude_by_column(self.outgoing[0])
        outputs = [module.weight[:, 0].numel() for module in self.outgoing]
        means = (_magnitude_by_column(module) * n for module, n in zip(self.outgoing, outputs, strict=True))
        return sum(means, torch.zeros((), device=self.device)) / sum(outputs)

    @torch.no_grad()
    def renew(self, units: Tensor, draw: Draw) -> None:
        """Re-initialise units: new incoming weights, zero biases, zero outgoing weights and neutral normalisation.

        The weights are written through `.data`, because `CBPLinear` and `CBPConv` replace units while autograd still
        uses the weights.

        Args:
            units: indices of the units.
            draw: function that draws incoming weights (n, fan_in).

        Raises:
            ValueError: If a weight is computed (parametrized or pruned).
        """
        self._refuse_computed_weights()
        weight = self.incoming.weight.data
        weight[units] = draw(len(units)).to(weight).view(-1, *weight.shape[1:])
        if self.incoming.bias is not None:
            self.incoming.bias.data[units] = 0
        for norm in self.norms:
            for name, tensor in chain(norm.named_parameters(recurse=False), norm.named_buffers(recurse=False)):
                if tensor.ndim:  # not the scalar count of batches
                    tensor.data.view(self.units, -1)[units] = NEUTRAL.get(name, 0)
        for module in self.outgoing:
            self._columns_of(module.weight.data)[:, units] = 0

    def _refuse_computed_weights(self) -> None:
        """Raise ValueError if a weight is computed, since writing to it has no effect."""
        for module in (self.incoming, *self.outgoing):
            if registered_parameter(module, "weight") is None:
                found = " ".join(repr(module).split())
                raise ValueError(f"layer must not have a parametrized or pruned weight, got {found}")

    @torch.no_grad()
    def move_mean_to_bias(self, units: Tensor, mean: Tensor) -> None:
        """Add the mean contribution of units to the biases of the modules that they feed.

        Args:
            units: indices of the units.
            mean: mean activations (columns,).
        """
        for module in self.outgoing:
            if module.bias is not None:
                weights = self._columns_of(module.weight.data)[:, units].flatten(2)  # (outputs, n, inputs or kernel)
                module.bias.data += (weights * mean.view(self.units, self.inputs)[units]).sum((1, 2))

    def has_step_per_weight(self, optimizer: Any) -> bool:
        """Return whether an optimizer (or None) counts the steps of each incoming weight, like `AdamGnT`."""
        weight = self.incoming.weight
        return (
            optimizer is not None and getattr(optimizer.state.get(weight, {}).get("step"), "shape", ()) == weight.shape
        )

    @torch.no_grad()
    def clear_optimizer_state(self, optimizer: Any, units: Tensor) -> None:
        """Zero the optimizer's per-element state (momentum, moments, counts) of all parameters of units.

        Args:
            optimizer: object with a PyTorch-like `state[parameter]`.
            units: indices of the units.
        """
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
        """Return a view (outputs, units, ...) of a tensor shaped like outgoing weights."""
        return tensor if self.feeds_convolution else tensor.view(len(tensor), self.units, self.inputs)


def _features(norm: Any) -> tuple:
    """Return the shape of a normalisation; () stands for all axes after the first."""
    if isinstance(norm, nn.LayerNorm):
        return norm.normalized_shape if len(norm.normalized_shape) == 1 else (norm.normalized_shape[0], ())
    return (norm.num_channels if isinstance(norm, nn.GroupNorm) else norm.num_features,)


def _magnitude_by_column(module: Any) -> Tensor:
    weight = module.weight.detach()
    return column_magnitudes(weight) if weight.ndim == 2 else channel_magnitudes(weight)


def _state_of(optimizer: Any, parameter: Tensor) -> list[Tensor]:
    """Return the per-element state of a parameter, without scalars such as the step count."""
    state = optimizer.state.get(parameter, {})
    return [
        value
        for name, value in state.items()
        if torch.is_tensor(value)
        and value.shape == parameter.shape
        and name != "step_size"  # Rprop's step sizes are not gradient statistics
    ]


def hidden_layers(net: Sequence[nn.Module] | nn.Sequential | nn.ModuleList) -> list[HiddenLayer]:
    """Return all hidden layers of a sequence of modules.

    Args:
        net: modules in the order of their use, such as `nn.Sequential` or `layers` of the networks in `lop.nets`.
    """
    modules = [module for module in net if isinstance(module, WEIGHT_LAYERS + NORMALISATIONS)]
    at = [i for i, module in enumerate(modules) if isinstance(module, WEIGHT_LAYERS)]
    return [HiddenLayer(modules[i], modules[j], modules[i + 1 : j]) for i, j in pairwise(at)]
