"""Finds the hidden layers of anybody's network: which module feeds which, read off its traced forward pass.

A unit can be replaced when all that it does passes through its outgoing weights: between the layer that computes it and
the layers that use it, every operation must act on each unit alone (an activation, normalisation, dropout, pooling,
flattening). Units that are added to something, as on a residual stream, or mixed by attention, are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.modules import activation, dropout, pooling

from lop.algos.units import CONVOLUTIONS, NORMALISATIONS, WEIGHT_LAYERS, HiddenLayer

MIXING = ("GLU", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "LogSoftmax")
UNIT_WISE_MODULES = (
    *(getattr(activation, name) for name in activation.__all__ if name not in MIXING),
    *(getattr(dropout, name) for name in dropout.__all__),
    *(getattr(pooling, name) for name in pooling.__all__ if "Unpool" not in name),
    nn.Identity,
    nn.Flatten,
)
# Functions of torch and torch.nn.functional, and methods of tensors, by name.
ELEMENT_WISE = {
    *("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_", "celu", "rrelu", "gelu"),
    *("silu", "mish", "softplus", "softsign", "hardtanh", "hardswish", "hardsigmoid", "tanh", "tanh_", "sigmoid"),
    *("sigmoid_", "logsigmoid", "threshold", "square", "abs", "clamp", "contiguous", "clone", "to", "float"),
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
}
POOLING = {f"{kind}_pool{n}d" for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)}
OVER_SPACE = {"mean", "amax"}
FLATTENING = {"flatten", "view", "reshape", *OVER_SPACE}
UNIT_WISE_FUNCTIONS = ELEMENT_WISE | POOLING | FLATTENING
SHAPE_ONLY = {"size", "dim", "numel", "getattr"}


class Tracer(fx.Tracer):
    """Stops at torch's own modules, and at normalisations wherever they are defined."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, NORMALISATIONS) or super().is_leaf_module(m, module_qualified_name)


@dataclass
class Path:
    """What lies between a layer and the layers that use its outputs."""

    consumers: list[str] = field(default_factory=list)
    norms: list[nn.Module] = field(default_factory=list)
    flattened: bool = False
    blocked_by: str = ""


def find_hidden_layers(net: nn.Module) -> tuple[dict[str, HiddenLayer], dict[str, str]]:
    """Hidden layers of `net` by the name of the module that computes their units, and why other layers are left out.

    Raises:
        ValueError: the forward pass cannot be traced by `torch.fx` (it depends on data, say).
    """
    net = getattr(net, "_orig_mod", net)  # what torch.compile wraps
    try:
        arguments = signature(net.forward).parameters.values()
        defaults = {p.name: p.default for p in arguments if p.default is not p.empty}
        graph = Tracer().trace(net, concrete_args=defaults or None)
    except Exception as error:  # whatever a forward pass may raise when it meets a symbol
        raise ValueError(
            f"Invalid net: torch.fx cannot trace {type(net).__name__}.forward ({error}); "
            "name the hidden layers yourself: layers=[(incoming, outgoing), ...]"
        ) from error
    modules = dict(net.named_modules())
    calls = [
        node for node in graph.nodes if node.op == "call_module" and isinstance(modules[node.target], WEIGHT_LAYERS)
    ]
    found, left_out = {}, {}
    for node in calls:
        name = str(node.target)
        path = follow(node, modules)
        try:
            found[name] = hidden_layer(name, path, modules, [str(call.target) for call in calls])
        except ValueError as error:
            left_out[name] = str(error)
    return found, left_out


def follow(start: fx.Node, modules: dict[str, nn.Module]) -> Path:
    """Everything that the outputs of `start` pass through up to the next layers with weights."""
    path, seen, ahead = Path(), {start}, [start]
    while ahead:
        for user in ahead.pop().users:
            if user in seen:
                continue
            seen.add(user)
            module = modules[str(user.target)] if user.op == "call_module" else None
            if isinstance(module, WEIGHT_LAYERS):
                path.consumers.append(str(user.target))
            elif user.op == "output":
                path.blocked_by = "they are outputs of the network"
            elif _shape_only(user):
                continue
            elif isinstance(module, NORMALISATIONS):
                path.norms.append(module)
                ahead.append(user)
            elif isinstance(module, UNIT_WISE_MODULES) or _unit_wise(user):
                path.flattened |= isinstance(module, nn.Flatten) or _name(user) in FLATTENING
                ahead.append(user)
            else:
                what = type(module).__name__ if module is not None else _name(user)
                path.blocked_by = (
                    path.blocked_by or f"they pass through `{what}`, which does not act on each unit alone"
                )
    return path


def hidden_layer(name: str, path: Path, modules: dict[str, nn.Module], calls: list[str]) -> HiddenLayer:
    """The hidden layer at the beginning of `path`; ValueError says why there is none."""
    incoming = modules[name]
    if path.blocked_by:
        raise ValueError(path.blocked_by)
    if not path.consumers:
        raise ValueError("nothing uses them")
    weights = [getattr(modules[call], "weight", None) for call in calls]
    for shared in (name, *path.consumers):
        if sum(weight is modules[shared].weight for weight in weights) > 1:
            raise ValueError(f"`{shared}`, or its weight, is used more than once")
    outgoing = [modules[consumer] for consumer in path.consumers]
    if isinstance(incoming, CONVOLUTIONS) and isinstance(outgoing[0], nn.Linear) and not path.flattened:
        raise ValueError(f"`{path.consumers[0]}` acts on the last axis of feature maps, not on units")
    return HiddenLayer(incoming, outgoing, path.norms)


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _shape_only(node: fx.Node) -> bool:
    return node.op in ("call_method", "call_function") and _name(node) in SHAPE_ONLY


def _unit_wise(node: fx.Node) -> bool:
    name = _name(node)
    if node.op not in ("call_method", "call_function") or name not in UNIT_WISE_FUNCTIONS:
        return False
    if name in OVER_SPACE:
        axes = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else ())
        axes = axes if isinstance(axes, tuple | list) else (axes,)
        return bool(axes) and set(axes) <= {2, 3, 4, -1, -2, -3}
    is_torch = node.op == "call_method" or node.target in _torch_functions(name)
    return is_torch and len(list(_tensors(node))) == 1


def _torch_functions(name: str) -> Iterator[Any]:
    for namespace in (F, torch):
        if hasattr(namespace, name):
            yield getattr(namespace, name)


def _tensors(node: fx.Node) -> Iterator[fx.Node]:
    """Arguments that are neither sizes nor numbers."""
    yield from (argument for argument in node.all_input_nodes if not _shape_like(argument))


def _shape_like(node: fx.Node) -> bool:
    """Comes of a tensor's shape: `x.size(0)`, `x.shape[0]`."""
    if _shape_only(node):
        return True
    return _name(node) == "getitem" and all(_shape_like(argument) for argument in node.all_input_nodes)
