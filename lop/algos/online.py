"""Learner that learns from one example at a time, in PyTorch.

`lop.engines.online.learner.OnlineLearner` is the compiled learner with the same interface. This one supports any
network, optimizer and callback, and takes 20 to 2,000 times as long.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lop.algos.bp import Backprop
from lop.algos.callback import Callback
from lop.algos.cbp import ContinualBackprop
from lop.algos.examples import Examples, dense


class OnlineLearner:
    """Per-example learner.

    Args:
        learner: learner that takes one step per example, with loss `mse` or `nll`.
        inputs: number of inputs.
        logs: whether to accumulate gradient magnitudes and fractions of inactive units while learning.

    Attributes:
        log: sums over all examples since the caller last set them to 0: mean absolute gradient of the weights of each
            layer (row 0), and fraction of inactive units of each hidden layer (row 1).
    """

    def __init__(self, learner: Backprop, inputs: int, logs: bool = False):
        self.learner, self.net, self.inputs, self.logs = learner, learner.net, inputs, logs
        self.device = next(self.net.parameters()).device
        self.layers = [module for module in self.net.modules() if isinstance(module, nn.Linear)]
        self.log = np.zeros((2, len(self.layers)))

    @property
    def callbacks(self) -> list[Callback]:
        """Callbacks of the learner."""
        return self.learner.callbacks

    def learn(self, stream: Examples, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Learn from examples in the given order.

        Args:
            stream: examples.
            order: indices of the examples (n,), integers.

        Returns:
            Losses (n,) float32 and predicted classes (n,) int16 (-1 with loss `mse`), each computed before
            learning from the example.
        """
        classifies = self.learner.loss == "nll"
        x = torch.from_numpy(dense(stream, order, self.inputs)).to(self.device)
        targets = torch.from_numpy(stream.targets[order]).to(self.device)
        targets = targets.long() if classifies else targets[:, None]
        losses: list[Any] = []
        outputs: list[Any] = []
        self.net.train()
        for example, target in zip(x.split(1), targets.split(1), strict=True):
            found = self.learner.learn(example, target)
            loss, output = found if classifies else (found, None)
            losses.append(loss)
            outputs.append(output)
            if self.logs:
                self._log()
        predicted = torch.cat(outputs).argmax(1) if classifies else torch.full((len(order),), -1)
        return torch.stack(losses).cpu().numpy(), predicted.cpu().numpy().astype(np.int16)

    def _log(self) -> None:
        for index, layer in enumerate(self.layers):
            self.log[0, index] += float(layer.weight.grad.abs().mean())  # type: ignore[union-attr]
        for index, h in enumerate((self.learner.previous_features or [])[: len(self.layers)]):
            self.log[1, index] += inactive_fraction(h, getattr(self.net, "act_type", ""))

    @torch.no_grad()
    def hidden(self, inputs: np.ndarray) -> list[np.ndarray]:
        """Compute hidden activations in evaluation mode.

        Args:
            inputs: inputs (n, inputs).

        Returns:
            Activations (n, units), one array per hidden layer.
        """
        self.net.eval()
        _, hidden = self.net.predict(torch.from_numpy(inputs).to(self.device))
        return [h.flatten(1).cpu().numpy() for h in hidden or []]

    def weights(self) -> list[np.ndarray]:
        """Return the weights of all linear layers, each (outputs, inputs)."""
        return [layer.weight.detach().cpu().numpy() for layer in self.layers]

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state, except that of PyTorch's generators."""
        gnt = self.learner.gnt.state_dict() if isinstance(self.learner, ContinualBackprop) else None
        return {
            "net": self.net.state_dict(),
            "optimizer": self.learner.opt.state_dict(),
            "gnt": gnt,
            "callbacks": [callback.state_dict() for callback in self.callbacks],
            "log": self.log,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.net.load_state_dict(state["net"])
        self.learner.opt.load_state_dict(state["optimizer"])
        if isinstance(self.learner, ContinualBackprop):
            self.learner.gnt.load_state_dict(state["gnt"])
        for callback, saved in zip(self.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(saved)
        self.log[...] = state["log"]


def inactive_fraction(h: Tensor, activation: str) -> float:
    """Return the fraction of inactive units, given their activations h for one example.

    A unit is inactive if `|h| > 0.9` (tanh), if h < 0.05 or h > 0.95 (sigmoid), or if h = 0 (all others).
    """
    inactive = {"tanh": h.abs() > 0.9, "sigmoid": (h < 0.05) | (h > 0.95)}.get(activation, h == 0)
    return float(inactive.float().mean())


def make_learner(p: Any, net: Any, loss: str) -> Backprop:
    """Create the learner that the parameters select for a network.

    Args:
        p: parameters, a `lop.runs.online_parameters.OnlineParameters`.
        net: network.
        loss: `mse` or `nll`.
    """
    callback, optimizer = p.plugin("callback"), p.plugin("optimizer")
    common = {
        "step_size": p.step_size,
        "loss": loss,
        "opt": optimizer.create(torch.optim.Optimizer, net.parameters()) if optimizer else p.opt,
        "beta_2": p.beta_2,
        "weight_decay": p.weight_decay,
        "callback": callback.create(Callback, net) if callback else None,
    }
    learner: Backprop
    if p.agent == "cbp":
        learner = ContinualBackprop(
            net,
            beta=p.beta_1,
            replacement_rate=p.replacement_rate,
            decay_rate=p.decay_rate,
            maturity_threshold=p.mt,
            util_type=p.util_type,
            init=p.init,
            accumulate=p.accumulate,
            **common,
        )
    else:
        learner = Backprop(net, beta_1=p.beta_1, **common)
    learner.to_perturb, learner.perturb_scale = p.perturb_scale > 0, p.perturb_scale
    return learner
