"""Continual backpropagation for anybody's network, by one call after the optimizer's step.

    plastic = KeepPlastic(net, optimizer, replacement_rate=1e-4)
    for x, y in stream:
        loss = criterion(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        plastic.step()

It finds the hidden layers itself (`lop.algos.tracing`), listens to the forward pass, and replaces the least useful
units (`lop.algos.gnt`). See docs/your_network.md.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lop.algos.gnt import GenerateAndTest, uniform_draw
from lop.algos.tracing import find_hidden_layers
from lop.algos.units import Draw, HiddenLayer

Initialiser = Callable[[Tensor], Any]  # fills a tensor shaped as incoming weights, as torch.nn.init does


class KeepPlastic(GenerateAndTest):
    """Replaces little-used units of any network of linear and convolutional layers.

    Args:
        net: a module; or one that `torch.compile` made, to be passed before its first forward pass.
        optimizer: the one that trains it, to start the momentum and moments of new units at zero; None for none.
        layers: the hidden layers, each (incoming, outgoing) or (incoming, outgoing, normalisation); found by tracing
            the network if None.
        replacement_rate: fraction of mature units replaced per step. 1e-4 to 1e-6 generally do well.
        maturity_threshold: steps that a new unit is left alone. 100 to 10,000 generally do well.
        util_type: see `lop.algos.utilities`; `contribution` suits ReLU-like activations.
        init: distribution of new incoming weights: `default` (PyTorch's own), `kaiming`, `lecun`, `xavier` with the
            gain of `activation`, or a function of `torch.nn.init`. It should be the initial one.
        decay_rate, accumulate, move_mean_to_bias, clear_optimizer_state: see `lop.algos.gnt.GenerateAndTest`.

    Attributes:
        names: the modules whose outputs are replaceable units; `left_out` tells why others are not.

    Raises:
        ValueError: no layer can be replaced, tracing fails, or an impossible setting.

    Utilities are of the last forward pass in training mode with gradients on. A `state_dict` holds all of the state but
    torch's random generator, from which new weights are drawn. Frozen layers, and parameters that are used in more than
    one place, are left alone. Arguments of `forward` that have defaults keep them while the network is traced.
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
            raise ValueError(f"Invalid net: no hidden layer whose units can be replaced ({reasons or 'no layers'})")
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
            own = module is self.layers[index].outgoing[0]  # a deep copy of the network has this hook, too
            if own and module.training and torch.is_grad_enabled():
                self._activations[index] = inputs[0].detach()

        return hook

    def step(self) -> dict[str, Tensor]:
        """Generate and test, once after each step of the optimizer.

        Returns the indices of the units that were replaced, by the name of their layer.
        """
        if len(self._activations) < len(self.layers):
            raise RuntimeError(
                "step() needs a forward pass of the whole network in training mode before it; "
                "of a compiled network only if KeepPlastic was made before its first one"
            )
        chosen = self.gen_and_test([self._activations[index] for index in range(len(self.layers))])
        self._activations.clear()
        return dict(zip(self.names, chosen, strict=True))

    def detach(self) -> None:
        """Stop listening to the network."""
        for hook in self._hooks:
            hook.remove()


def draw_by(layer: HiddenLayer, init: str | Initialiser, activation: str) -> Draw:
    if isinstance(init, str):
        return uniform_draw(layer, init, activation)

    def draw(n: int) -> Tensor:
        weights = torch.empty(layer.incoming.weight.shape)  # whole: an initialiser looks at its shape
        init(weights)
        return weights[:n]

    return draw
