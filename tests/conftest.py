import json
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
