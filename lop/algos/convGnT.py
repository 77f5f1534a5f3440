"""Generate-and-test for convolutional networks, with the published signature.

Unlike in `lop.algos.gnt.GnT`, the replacement rate counts all units of a layer by default, and fractions of a unit
always accumulate. The utility of a filter that is flattened into a linear layer is the mean over the inputs that it
feeds.
"""

from collections.abc import Sequence
from typing import Any

from torch import nn

from lop.algos.gnt import GnT


class ConvGnT(GnT):
    """Generate-and-test for convolutions followed by linear layers.

    For arguments that are not listed, see `lop.algos.gnt.GenerateAndTest`.

    Args:
        net: modules in order, as for `lop.algos.gnt.GnT`.
        hidden_activation: name of the activation; see `lop.algos.gnt.GnT`.
        init: distribution of new weights of linear layers. Those of convolutions are uniform in [-b, b] with
            b = sqrt(1 / fan_in).
        num_last_filter_outputs: ignored; derived from the layers.
        device: ignored.
        rate_of: `all`, as in the published code, or `mature`.
    """

    def __init__(
        self,
        net: Sequence[nn.Module],
        hidden_activation: str,
        opt: Any,
        decay_rate: float = 0.99,
        replacement_rate: float = 1e-4,
        init: str = "kaiming",
        num_last_filter_outputs: int = 4,
        util_type: str = "contribution",
        maturity_threshold: float = 100,
        device: str = "cpu",
        rate_of: str = "all",
        move_mean_to_bias: bool = False,
        clear_optimizer_state: bool | None = None,
    ):
        super().__init__(
            net,
            hidden_activation,
            opt,
            decay_rate,
            replacement_rate,
            init,
            device,
            maturity_threshold,
            util_type,
            accumulate=True,
            rate_of=rate_of,
            move_mean_to_bias=move_mean_to_bias,
            clear_optimizer_state=clear_optimizer_state,
        )
