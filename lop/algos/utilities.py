"""How useful a hidden unit is: the paper's measures of utility.

Each is a product of up to three factors. With h a unit's activation, mean over the batch, f its running mean, w_in and
w_out its incoming and outgoing weights:

| utility                | y                                       |
|------------------------|-----------------------------------------|
| contribution           | mean|h| * mean|w_out|                   |
| zero_contribution      | mean|h - f| * mean|w_out|               |
| adaptable_contribution | mean|h - f| * mean|w_out| / mean|w_in|  |
| feature_by_input       | mean|h - f| / mean|w_in|                |
| weight                 | mean|w_out|                             |
| adaptation             | 1 / mean|w_in|                          |
| random                 | uniform noise, drawn anew every step    |

Source: Methods of the paper; Dohare et al. 2021 (arXiv 2108.06325).
"""

from typing import NamedTuple


class Utility(NamedTuple):
    """The factors that a measure of utility is the product of."""

    activity: bool = False  # mean|h|, or if `centred` mean|h - f|
    outgoing: bool = False  # mean|w_out|
    incoming: bool = False  # 1 / mean|w_in|
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
