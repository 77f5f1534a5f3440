"""Gains and bounds of initial weights, and constants of online normalisation.

Networks, unit replacement and the compiled engines share this module, which does not import PyTorch.
"""

from math import sqrt

# PyTorch's gains; Swish and ELU have the gain of ReLU, as in the paper's experiments.
GAINS = {
    "relu": sqrt(2),
    "leaky_relu": sqrt(2 / (1 + 0.01**2)),
    "tanh": 5 / 3,
    "elu": sqrt(2),
    "selu": 3 / 4,
    "swish": sqrt(2),
}
NORM_EPS, NORM_CLAMP = 1e-5, 5.0  # `lop.nets.online_norm`: epsilon, maximum absolute output
INITS = ("default", "kaiming", "lecun", "xavier", "orthogonal")


def gain(activation: str) -> float:
    """Return the gain of an activation (case-insensitive); 1 if it has no entry, such as sigmoid and linear."""
    return GAINS.get(activation.lower(), 1.0)


def initial_gain(init: str, activation: str) -> float:
    """Return the gain of a layer's initial weights.

    With `kaiming`, leaky ReLU has the gain of ReLU, which is the default of `torch.nn.init.kaiming_uniform_`.
    """
    return gain("relu" if init == "kaiming" and activation.lower() == "leaky_relu" else activation)


def uniform_bound(fan_in: int, fan_out: int, init: str, gain: float = 1.0) -> float:
    """Return the bound b of the uniform distribution on [-b, b] from which a layer's weights are drawn.

    `default` is PyTorch's default for linear layers, sqrt(1 / fan_in). Like `lecun`, it ignores the gain. With
    `orthogonal`, the weights have the same variance as the entries of an orthogonal matrix,
    gain^2 / max(fan_in, fan_out).

    Args:
        fan_in: number of inputs of the layer.
        fan_out: number of outputs of the layer.
        init: distribution of the weights, one of `INITS`.
        gain: gain of the activation.

    Raises:
        ValueError: If `init` is unknown.
    """
    if init == "default":
        return sqrt(1 / fan_in)
    if init == "xavier":
        return gain * sqrt(6 / (fan_in + fan_out))
    if init == "lecun":
        return sqrt(3 / fan_in)
    if init == "kaiming":
        return gain * sqrt(3 / fan_in)
    if init == "orthogonal":
        return gain * sqrt(3 / max(fan_in, fan_out))
    raise ValueError(f"init must be one of {', '.join(INITS)}, got {init!r}")
