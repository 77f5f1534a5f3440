"""State-value functions."""

from collections.abc import Sequence

from torch import Tensor

from lop.nets.initialisation import initialise
from lop.nets.mlp import Recorder, forward_logged, mlp


class MLPVF(Recorder):
    """State-value function; the multilayer perceptron `v_net` maps observations (batch, o_dim) to values (batch, 1).

    Args:
        o_dim: size of an observation.
        act_type: name of the activation.
        h_dim: number of units of each hidden layer.
        device: device of the network.
        init: distribution of initial weights; see `lop.nets.initialisation`.
    """

    def __init__(
        self,
        o_dim: int,
        act_type: str = "Tanh",
        h_dim: Sequence[int] = (50,),
        device: str = "cpu",
        init: str = "kaiming",
    ):
        super().__init__()
        self.act_type, self.device = act_type, device
        self.v_net = mlp(o_dim, h_dim, 1, act_type)
        initialise(self.v_net, init, act_type)
        self.to(device)

    def value(self, x: Tensor, to_log_features: bool = False) -> Tensor:
        """Return the values (batch, 1) of observations.

        Args:
            x: observations (batch, o_dim).
            to_log_features: record the hidden activations for `get_activations`.
        """
        value, hidden = forward_logged(self.v_net, x)
        if to_log_features:
            self._activations = hidden
        return value
