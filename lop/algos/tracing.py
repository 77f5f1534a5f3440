"""Find the hidden layers of any network by tracing its forward pass.

A unit can be replaced if everything it does passes through its outgoing weights: between the layer that computes it and
the layers that use it, each operation must act on each unit separately (activation, normalisation, dropout, pooling,
flattening). Units that are added to others, as in residual streams, or mixed by attention, are left out.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from inspect import signature
from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F
from torch.nn.modules import activation, dropout, pooling

from lop._compat import uncompiled
from lop.algos.units import CONVOLUTIONS, NORMALISATIONS, WEIGHT_LAYERS, HiddenLayer

MIXING = ("GLU", "MultiheadAttention", "Softmax", "Softmax2d", "Softmin", "LogSoftmax")
ELEMENT_WISE_MODULES = (
    *(getattr(activation, name) for name in activation.__all__ if name not in MIXING),
    *(getattr(dropout, name) for name in dropout.__all__),
    nn.Identity,
)
POOLING_MODULES = tuple(getattr(pooling, name) for name in pooling.__all__ if "Unpool" not in name)
# Functions of torch and torch.nn.functional, and methods of tensors, by name.
ELEMENT_WISE = {
    *("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "selu", "selu_", "celu", "rrelu", "gelu"),
    *("silu", "mish", "softplus", "softsign", "hardtanh", "hardswish", "hardsigmoid", "tanh", "tanh_", "sigmoid"),
    *("sigmoid_", "logsigmoid", "threshold", "square", "abs", "clamp", "contiguous", "clone", "to", "float"),
    *("dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"),
}
POOLING = {f"{kind}_pool{n}d" for kind in ("max", "avg", "lp", "adaptive_avg", "adaptive_max") for n in (1, 2, 3)}
OVER_SPACE = {"mean", "amax"}
VIEWS = {"view", "reshape"}
SHAPE_ONLY = {"size", "dim", "numel"}
SHAPE_ATTRIBUTES = {"shape", "ndim", "device", "dtype"}


class Tracer(fx.Tracer):
    """Tracer that does not enter PyTorch's own modules or normalisations, wherever these are defined."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Return whether a module is recorded as a single operation."""
        return isinstance(m, NORMALISATIONS) or super().is_leaf_module(m, module_qualified_name)


@dataclass
class Path:
    """Modules between a layer and the layers that use its outputs."""

    consumers: list[str] = field(default_factory=list)
    norms: list[nn.Module] = field(default_factory=list)
    flattened: bool = False
    blocked_by: str = ""


def find_hidden_layers(net: nn.Module) -> tuple[dict[str, HiddenLayer], dict[str, str]]:
    """Find the hidden layers whose units can be replaced.

    Args:
        net: network.

    Returns:
        The hidden layers, keyed by the name of the module that computes their units, and the reasons why other layers
        are left out, keyed by the name of their module.

    Raises:
        ValueError: If `torch.fx` cannot trace the forward pass, for example because it depends on data.
    """
    net = uncompiled(net)
    modes = {module: module.training for module in net.modules()}
    try:
        net.train()  # the forward pass may differ in evaluation mode
        arguments = signature(net.forward).parameters.values()
        defaults = {p.name: p.default for p in arguments if p.default is not p.empty}
        graph = Tracer().trace(net, concrete_args=defaults or None)
    except Exception as error:  # a forward pass may raise any exception on symbolic values
        raise ValueError(
            f"net must be traceable by torch.fx, got {type(net).__name__}.forward ({error}); "
            "otherwise, pass layers=[(incoming, outgoing), ...]"
        ) from error
    finally:
        for module, training in modes.items():
            module.training = training
    modules = dict(net.named_modules())
    calls = [
        node for node in graph.nodes if node.op == "call_module" and isinstance(modules[node.target], WEIGHT_LAYERS)
    ]
    found: dict[str, HiddenLayer] = {}
    left_out = {}
    uses = _uses(graph, net, modules)
    for node in calls:
        name = str(node.target)
        path = follow(node, modules)
        try:
            found[name] = hidden_layer(name, path, modules, uses)
        except ValueError as error:
            left_out[name] = str(error)
    return found, left_out


def _uses(graph: fx.Graph, net: nn.Module, modules: dict[str, nn.Module]) -> Counter:
    """Return the number of uses of each parameter, by modules or by name."""
    uses: Counter = Counter()
    for node in graph.nodes:
        if node.op == "call_module":
            uses.update(set(modules[str(node.target)].parameters()))
        elif node.op == "get_attr":
            value = attrgetter(str(node.target))(net)
            uses.update([value] if isinstance(value, nn.Parameter) else ())
    return uses


def follow(start: fx.Node, modules: dict[str, nn.Module]) -> Path:
    """Return the path of the outputs of `start` up to the next layers with weights."""
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
            elif _acts_on_each_unit(user, module, modules[str(start.target)]):
                path.flattened |= isinstance(module, nn.Flatten) or _name(user) in {"flatten", *VIEWS, *OVER_SPACE}
                ahead.append(user)
            else:
                what = type(module).__name__ if module is not None else _name(user)
                path.blocked_by = path.blocked_by or f"they go through `{what}`, which does not act on each unit alone"
    return path


def hidden_layer(name: str, path: Path, modules: dict[str, nn.Module], uses: Counter) -> HiddenLayer:
    """Return the hidden layer between a module and the modules that use its outputs.

    Args:
        name: name of the module that computes the units.
        path: path of its outputs.
        modules: all modules of the network by name.
        uses: number of uses of each parameter.

    Raises:
        ValueError: If the units cannot be replaced; the message is the reason.
    """
    incoming = modules[name]
    if path.blocked_by:
        raise ValueError(path.blocked_by)
    if not path.consumers:
        raise ValueError("nothing uses them")
    outgoing = [modules[consumer] for consumer in path.consumers]
    for module in (incoming, *outgoing, *path.norms):
        if any(uses[parameter] > 1 for parameter in module.parameters()):
            raise ValueError(f"a parameter of {module} is used more than once")
    if not all(module.weight.requires_grad for module in (incoming, *outgoing)):
        raise ValueError("its weights, or those that it feeds, are frozen")
    if isinstance(incoming, CONVOLUTIONS) and isinstance(outgoing[0], nn.Linear) and not path.flattened:
        raise ValueError(f"`{path.consumers[0]}` acts on the last axis of feature maps, not on units")
    return HiddenLayer(incoming, outgoing, path.norms)


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _shape_only(node: fx.Node) -> bool:
    if _name(node) == "getattr":
        return node.args[1] in SHAPE_ATTRIBUTES
    return node.op in ("call_method", "call_function") and _name(node) in SHAPE_ONLY


def _acts_on_each_unit(node: fx.Node, module: nn.Module | None, incoming: nn.Module) -> bool:
    """Return whether an operation acts on each unit of `incoming` separately and keeps their order."""
    space = CONVOLUTIONS.index(type(incoming)) + 1 if type(incoming) in CONVOLUTIONS else 0  # spatial axes
    if isinstance(module, POOLING_MODULES):
        return space > 0
    if isinstance(module, nn.Flatten):
        return not space or (module.start_dim, module.end_dim) == (1, -1)
    if module is not None:
        return isinstance(module, ELEMENT_WISE_MODULES)
    name, arguments = _name(node), node.args[1:]
    if node.op not in ("call_method", "call_function") or len(list(_tensors(node))) != 1:
        return False
    if node.op == "call_function" and node.target not in _torch_functions(name):
        return False
    if name in POOLING:
        return space > 0
    if name == "flatten":
        first = node.kwargs.get("start_dim", arguments[0] if arguments else 0)
        last = node.kwargs.get("end_dim", arguments[1] if len(arguments) > 1 else -1)
        return not space or (first, last) == (1, -1)
    if name in VIEWS:
        sizes = arguments[0] if arguments and isinstance(arguments[0], tuple | list) else arguments
        return not space or len(sizes) == 2
    if name in OVER_SPACE:
        axes = node.kwargs.get("dim", arguments[0] if arguments else ())
        axes = axes if isinstance(axes, tuple | list) else (axes,)
        allowed = {axis for n in range(2, space + 2) for axis in (n, n - space - 2)} if space else {1, -2, -3}
        return bool(axes) and set(axes) <= allowed
    return name in ELEMENT_WISE


def _torch_functions(name: str) -> Iterator[Any]:
    for namespace in (F, torch):
        if hasattr(namespace, name):
            yield getattr(namespace, name)


def _tensors(node: fx.Node) -> Iterator[fx.Node]:
    """Yield the arguments that are tensors, not sizes or numbers."""
    yield from (argument for argument in node.all_input_nodes if not _shape_like(argument))


def _shape_like(node: fx.Node) -> bool:
    """Return whether a node is derived from a tensor's shape, such as `x.size(0)` or `x.shape[0]`."""
    if _shape_only(node):
        return True
    return _name(node) == "getitem" and all(_shape_like(argument) for argument in node.all_input_nodes)
