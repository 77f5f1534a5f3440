"""Continual backpropagation as a layer after a convolution; see `lop.algos.cbp_linear`."""

from torch import nn

from lop.algos.cbp_linear import CBPLayer


class CBPConv(CBPLayer):
    """Layer that replaces filters of a convolution that feeds a convolution or, flattened, a linear layer.

    It may precede or follow the flattening.

    For arguments that are not listed, see `lop.algos.cbp_linear.CBPLinear`.

    Args:
        in_layer: convolution whose output channels are the units.
        out_layer: layer that the units feed.
        ln_layer: layer normalisation between the two, if any.
        bn_layer: batch normalisation between the two, if any.
        num_last_filter_outputs: ignored; derived from the layers.
        init: ignored; new weights of a convolution are uniform in [-b, b] with b = sqrt(1 / fan_in).

    Raises:
        ValueError: If the layers do not fit together, or a setting is out of range.
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
            raise ValueError(f"in_layer must be a convolution, got {in_layer!r}")
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
