"""Continual backpropagation for any network, with one call after the optimizer's step.

Example::

    plastic = KeepPlastic(net, optimizer, replacement_rate=1e-4)
    for x, y in stream:
        loss = criterion(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plastic.step()

`KeepPlastic` finds the hidden layers (`lop.algos.tracing`), records their activations in the forward pass, and replaces
units of low utility (`lop.algos.gnt`). See docs/your_network.md.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.callback import Callback
from lop.algos.gnt import GenerateAndTest, uniform_draw
from lop.algos.tracing import find_hidden_layers
from lop.algos.units import Draw, HiddenLayer

Initialiser = Callable[[Tensor], Any]  # fills a tensor of incoming weights in place, like torch.nn.init


class KeepPlastic(GenerateAndTest):
    """Generate-and-test for any network of linear and convolutional layers.

    Utilities are computed from the last forward pass in training mode with gradients enabled. `state_dict` contains the
    complete state except that of PyTorch's random generator, from which new weights are drawn. Layers with frozen
    weights, and parameters that are used more than once, are not changed. During tracing, arguments of `forward` that
    have defaults keep them.

    Args:
        net: network. Pass a network compiled by `torch.compile` before its first forward pass.
        optimizer: optimizer of the network, whose momentum and moments of replaced units are set to zero; or None.
        layers: hidden layers, each (incoming, outgoing) or (incoming, outgoing, normalisation). By default they are
            found by tracing the network.
        replacement_rate: fraction of mature units to replace per step. Typical values are 1e-6 to 1e-4.
        maturity_threshold: number of steps during which a new unit is not replaced. Typical values are 100 to 10,000.
        util_type: see `lop.algos.utilities`; `contribution` suits ReLU-like activations.
        decay_rate: see `lop.algos.gnt.GenerateAndTest`.
        init: distribution of new incoming weights, which should be that of the initial weights: `default` (PyTorch's
            default), `kaiming`, `lecun` or `xavier` with the gain of `activation`, or a function like those in
            `torch.nn.init`.
        activation: name of the activation.
        accumulate: see `lop.algos.gnt.GenerateAndTest`.
        move_mean_to_bias: see `lop.algos.gnt.GenerateAndTest`.
        clear_optimizer_state: see `lop.algos.gnt.GenerateAndTest`.

    Attributes:
        names: names of the modules whose outputs are replaceable units, in order.
        left_out: reasons why units of other layers cannot be replaced, by the name of the module.

    Raises:
        ValueError: If the network has no layer whose units can be replaced, cannot be traced, or an argument is out of
            range.
    """

    def __init__(
        self,
        net: nn.Module,
        optimizer: Any = None,
        *,
        layers: Sequence[Sequence[nn.Module]] | None = None,
        replacement_rate: float = 1e-4,
        maturity_threshold: float = 1000,
        util_type: str = "contribution",
        decay_rate: float = 0.99,
        init: str | Initialiser = "default",
        activation: str = "relu",
        accumulate: bool = True,
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool = True,
    ):
        if layers is None:
            found, self.left_out = find_hidden_layers(net)
        else:
            names = {module: name for name, module in net.named_modules()}
            found, self.left_out = {names[layer[0]]: HiddenLayer(layer[0], layer[1], layer[2:]) for layer in layers}, {}
        if not found:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out.items())
            raise ValueError(f"net must have a layer with replaceable units, got none ({reasons or 'no layers'})")
        super().__init__(
            list(found.values()),
            optimizer,
            [draw_by(layer, init, activation) for layer in found.values()],
            decay_rate=decay_rate,
            replacement_rate=replacement_rate,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            accumulate=accumulate,
            move_mean_to_bias=move_mean_to_bias,
            clear_optimizer_state=clear_optimizer_state and optimizer is not None,
        )
        self.names = list(found)
        self._activations: dict[int, Tensor] = {}
        self._hooks = [
            layer.outgoing[0].register_forward_pre_hook(self._listen(index)) for index, layer in enumerate(self.layers)
        ]

    def _listen(self, index: int) -> Callable:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            own = module is self.layers[index].outgoing[0]  # a deep copy of the network also has this hook
            if own and module.training and torch.is_grad_enabled():
                self._activations[index] = inputs[0].detach()

        return hook

    def step(self) -> dict[str, Tensor]:
        """Update the utilities and replace units; call once after each optimizer step.

        Returns:
            Indices of the replaced units, one tensor per layer, by the name of the layer.

        Raises:
            RuntimeError: If the network has had no complete forward pass in training mode since the last call.
        """
        if len(self._activations) < len(self.layers):
            raise RuntimeError(
                "step() requires a complete forward pass in training mode since the last call; "
                "create KeepPlastic before the first forward pass of a compiled network"
            )
        chosen = self.gen_and_test([self._activations[index] for index in range(len(self.layers))])
        self._activations.clear()
        return dict(zip(self.names, chosen, strict=True))

    def detach(self) -> None:
        """Remove the hooks from the network."""
        for hook in self._hooks:
            hook.remove()


class KeepPlasticCallback(Callback):
    """`KeepPlastic` as a callback: continual backpropagation in the networks and with the optimizers of plugins.

    Args:
        net: network that is trained.
        replacement_rate: see `KeepPlastic`.
        maturity_threshold: see `KeepPlastic`.
        util_type: see `KeepPlastic`.
        decay_rate: see `KeepPlastic`.
        init: see `KeepPlastic`.
        activation: see `KeepPlastic`.
    """

    def __init__(
        self,
        net: nn.Module,
        replacement_rate: float = 1e-4,
        maturity_threshold: float = 1000,
        util_type: str = "contribution",
        decay_rate: float = 0.99,
        init: str = "default",
        activation: str = "relu",
    ):
        super().__init__(net)
        self.plastic = KeepPlastic(
            net,
            replacement_rate=replacement_rate,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            decay_rate=decay_rate,
            init=init,
            activation=activation,
        )
        self.plastic.clear_optimizer_state = True  # of `optimizer`, which the learner sets later

    def after_step(self, hidden: Sequence[Tensor]) -> None:
        """Update the utilities and replace units."""
        self.plastic.opt = self.optimizer
        self.plastic.step()

    def state_dict(self) -> dict[str, Any]:
        """Return ages, utilities and fractions of units that are due."""
        return self.plastic.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.plastic.load_state_dict(dict(state))


def draw_by(layer: HiddenLayer, init: str | Initialiser, activation: str) -> Draw:
    """Return a function that draws incoming weights (n, fan_in) for n new units, by name or with an initialiser."""
    if isinstance(init, str):
        return uniform_draw(layer, init, activation)

    def draw(n: int) -> Tensor:
        weights = torch.empty(layer.incoming.weight.shape)  # initialisers compute the fan-in from the complete shape
        init(weights)
        return weights[:n]

    return draw
