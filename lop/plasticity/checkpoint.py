"""Weights of a network in a checkpoint that PyTorch has saved."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lop.common.errors import InputError
from lop.common.paths import shown

KEYS = ("state_dict", "model_state_dict", "model", "net")  # under which checkpoints usually contain a state_dict


def read_state_dict(path: Path, key: str | None = None) -> Mapping[str, Any]:
    """Return the state_dict in a checkpoint, on the CPU. No code in the file is executed.

    Args:
        path: file that contains a state_dict, or a mapping with one under a key.
        key: key of the state_dict. By default, the checkpoint is either a state_dict, or has one under one of `KEYS`.

    Raises:
        InputError: there is no such file, `torch.load(weights_only=True)` refuses it, or it has no such state_dict.
    """
    if not path.is_file():  # reading a FIFO would never end
        raise InputError(f"{shown(path)}: no such file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can make torch raise anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{shown(path)}: no checkpoint that torch.load(weights_only=True) reads: {reason}") from None
    if key is None and _is_state_dict(content):
        return content
    candidates = content if isinstance(content, Mapping) else {}
    names = [name for name in ((key,) if key else KEYS) if name in candidates]
    found = [
        name for name in names if isinstance(candidates[name], Mapping) and (key or _is_state_dict(candidates[name]))
    ]
    if len(found) != 1:
        has = f"the keys {', '.join(map(str, candidates))}" if candidates else type(content).__name__
        usual = f"a state_dict, or one under exactly one of {', '.join(KEYS)}; --key selects another key"
        raise InputError(f"{shown(path)}: found {has}, allowed: {f'a state_dict under {key}' if key else usual}")
    return candidates[found[0]]


def load(net: nn.Module, state: Mapping[str, Any], path: Path) -> None:
    """Load a state_dict into a network.

    Args:
        net: network.
        state: state_dict.
        path: checkpoint that contains it, for error messages.

    Raises:
        InputError: the network has other parameters, or some are not finite.
    """
    try:
        net.load_state_dict(state)
    except Exception as error:  # values other than tensors can make torch raise anything
        raise InputError(f"{shown(path)}: does not fit the network: {error}") from None
    for name, parameter in net.named_parameters():
        if not parameter.isfinite().all():
            raise InputError(f"{shown(path)}: {name}: found values that are not finite, allowed: finite weights")


def _is_state_dict(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())
