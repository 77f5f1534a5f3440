"""Numbers recorded from the published code; see tests/golden/README.md."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

GOLDEN = Path(__file__).parent / "golden"


def golden(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """Return the arrays and settings of tests/golden/<name>."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays), json.loads((GOLDEN / f"{name}.json").read_text())


def images(steps: int, batch: int, classes: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Return the random images and labels with which the golden cases were recorded."""
    rng = np.random.RandomState(0)
    x = rng.randint(0, 256, (steps, batch, 3, 32, 32)).astype(np.uint8)
    y = rng.randint(0, classes, (steps, batch))
    return zip(torch.tensor(x).float() / 255, torch.tensor(y), strict=True)
