"""Continual backpropagation as a layer behind a convolution; see `lop.algos.cbp_linear`."""

from torch import nn

from lop.algos.cbp_linear import CBPLayer


class CBPConv(CBPLayer):
    """Replaces filters of a convolution that feeds a convolution or, flattened, a linear layer.

    Args:
        in_layer: its channels are the units. out_layer: the layer that they feed.
        ln_layer, bn_layer: layer and batch normalisation between the two, if any.
        num_last_filter_outputs: not used; the layers say it themselves.
        init: distribution of new weights; those of convolutions are uniform in sqrt(1 / fan_in) whatever it is.
        others: see `lop.algos.cbp_linear.CBPLinear`.

    Raises:
        ValueError: the layers do not fit together, or an impossible setting.
    """

    def __init__(
        self,
        in_layer: nn.Conv2d,
        out_layer: nn.Conv2d | nn.Linear,
        ln_layer: nn.LayerNorm | None = None,
        bn_layer: nn.BatchNorm2d | None = None,
        num_last_filter_outputs: int = 1,
        replacement_rate: float = 1e-5,
        maturity_threshold: float = 1000,
        init: str = "kaiming",
        act_type: str = "relu",
        util_type: str = "contribution",
        decay_rate: float = 0,
    ):
        if isinstance(in_layer, nn.Linear):
            raise ValueError(f"Invalid in_layer: {in_layer} (allowed: a convolution)")
        super().__init__(
            in_layer,
            out_layer,
            (ln_layer, bn_layer),
            init,
            act_type,
            replacement_rate=replacement_rate,
            maturity_threshold=maturity_threshold,
            util_type=util_type,
            decay_rate=decay_rate,
        )
