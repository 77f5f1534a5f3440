import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def golden(name: str) -> tuple[dict[str, np.ndarray], dict]:
    """Arrays and settings of tests/golden/<name>."""
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays), json.loads((GOLDEN / f"{name}.json").read_text())


def images(steps: int, batch: int, classes: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The random images and labels that recorded cases were recorded with."""
    rng = np.random.RandomState(0)
    x = rng.randint(0, 256, (steps, batch, 3, 32, 32)).astype(np.uint8)
    y = rng.randint(0, classes, (steps, batch))
    return zip(torch.tensor(x).float() / 255, torch.tensor(y), strict=True)
