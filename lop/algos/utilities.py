"""Utilities of hidden units, as defined in the paper.

Each utility y is a product of up to three factors. Here h is the activation of a unit and f its running mean, and w_in
and w_out are the unit's incoming and outgoing weights. Means of activations are taken over the batch:

========================  ==========================================
utility                   y
========================  ==========================================
contribution              ``mean|h| * mean|w_out|``
zero_contribution         ``mean|h - f| * mean|w_out|``
adaptable_contribution    ``mean|h - f| * mean|w_out| / mean|w_in|``
feature_by_input          ``mean|h - f| / mean|w_in|``
weight                    ``mean|w_out|``
adaptation                ``1 / mean|w_in|``
random                    uniform noise, drawn at every step
========================  ==========================================

Source: Methods of the paper; Dohare et al. 2021 (arXiv 2108.06325).
"""

from typing import NamedTuple


class Utility(NamedTuple):
    """Factors of a utility."""

    activity: bool = False  #: `mean|h|`, or `mean|h - f|` if `centred`
    outgoing: bool = False  #: `mean|w_out|`
    incoming: bool = False  #: `1 / mean|w_in|`
    centred: bool = False


UTILITIES = {
    "contribution": Utility(activity=True, outgoing=True),
    "zero_contribution": Utility(activity=True, outgoing=True, centred=True),
    "adaptable_contribution": Utility(activity=True, outgoing=True, incoming=True, centred=True),
    "feature_by_input": Utility(activity=True, incoming=True, centred=True),
    "weight": Utility(outgoing=True),
    "adaptation": Utility(incoming=True),
    "random": Utility(),
}
