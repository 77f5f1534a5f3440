import platform

import numpy as np
import pytest

from lop.runs.process import flush_denormal


@pytest.mark.parametrize("machine", [platform.machine(), "another"])
def test_denormal_numbers_are_flushed_to_zero(machine, monkeypatch):
    """Without torch on known machines, with it on others."""
    monkeypatch.setattr(platform, "machine", lambda: machine)
    smallest, factor = np.float32(1e-38), np.float32(1e-3)
    flush_denormal(True)
    try:
        flushed = smallest * factor
    finally:
        flush_denormal(False)
    assert flushed == 0
    assert smallest * factor > 0
