"""Activations of the paper, by name."""

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "swish": nn.SiLU,
}
ACTIVATION_MODULES = tuple(ACTIVATIONS.values())


def activation_named(name: str) -> type[nn.Module]:
    """Return the module class of an activation.

    Args:
        name: name of the activation, case-insensitive.

    Raises:
        ValueError: If the name is unknown.
    """
    if name.lower() not in ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")
    return ACTIVATIONS[name.lower()]
