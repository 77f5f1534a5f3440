"""Numbers that networks, replaced units and the compiled engine share; importable without torch.

Gains and bounds of initial weights, and the constants of online normalisation.
"""

from math import sqrt

# Those of PyTorch; Swish and ELU take ReLU's, as the paper's experiments do.
GAINS = {
    "relu": sqrt(2),
    "leaky_relu": sqrt(2 / (1 + 0.01**2)),
    "tanh": 5 / 3,
    "elu": sqrt(2),
    "selu": 3 / 4,
    "swish": sqrt(2),
}
NORM_EPS, NORM_CLAMP = 1e-5, 5.0  # of `lop.nets.online_norm`: added to variances; largest absolute output
INITS = ("default", "kaiming", "lecun", "xavier", "orthogonal")


def gain(activation: str) -> float:
    """Factor by which `activation` (any case) asks for larger weights; 1 for sigmoid and linear."""
    return GAINS.get(activation.lower(), 1.0)


def uniform_bound(fan_in: int, fan_out: int, init: str, gain: float = 1.0) -> float:
    """The b of the uniform distribution on [-b, b] from which a layer's weights are drawn.

    `default` is PyTorch's own for linear layers, sqrt(1 / fan_in); `lecun` ignores the gain. `orthogonal` matrices have
    entries of variance gain^2 / max(fan_in, fan_out): new units' weights are drawn with the same.
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
    raise ValueError(f"Invalid init: {init!r} (allowed: {', '.join(INITS)})")
