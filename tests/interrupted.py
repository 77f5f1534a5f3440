"""Check that interrupted runs resume exactly and that runs leave no networks in memory."""

import gc
import weakref

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from lop.runs import checkpoint
from lop.runs.runner import Runner


class PowerCut(Exception):
    pass


class InterruptedRun(Runner):
    """Save before step `saved_at`, and fail two strides later without saving."""

    saved_at = 10**9

    def steps(self, n, unit="steps", stride=1):
        for step in super().steps(n, unit, stride):
            if step == self.saved_at:
                self.save()
            if step == self.saved_at + 2 * stride:
                raise PowerCut
            yield step


def finished(train, run):
    """Complete a run; return its table and the state of everything that it tracks."""
    run.execute(train)
    return pq.read_table(run.output), checkpoint.load(run.checkpoint, run.spec.origin)["tracked"]


def left_behind(train, module, run_in, monkeypatch):
    """Return how many networks of two runs outlive them without garbage collection.

    The runs use a GPU if there is one; `run_in(name, device)` makes a run with results in a folder of that name.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    networks, make_network = [], module.make_network

    def noted(parameters):
        network = make_network(parameters)
        networks.append(weakref.ref(network))
        return network

    monkeypatch.setattr(module, "make_network", noted)
    gc.collect()
    gc.disable()
    try:
        for name in ("first", "second"):
            run_in(name, device).execute(train)
        assert len(networks) == 2
        return sum(network() is not None for network in networks)
    finally:
        gc.enable()


def goes_on_after_a_cut(train, run_in, saved_at):
    """Assert that an interrupted run ends with the table and state of an uninterrupted one; return both.

    Args:
        train: the experiment.
        run_in: makes an `InterruptedRun` with results in a folder of the given name.
        saved_at: step from which the run resumes; for several interruptions, ascending steps, or a function that
            computes them from the table of the uninterrupted run.
    """
    table, state = finished(train, run_in("whole"))
    steps = saved_at(table) if callable(saved_at) else [saved_at] if isinstance(saved_at, int) else saved_at
    for step in steps:
        run = run_in("cut")
        run.saved_at = step
        with pytest.raises(PowerCut):
            run.execute(train)
    again, its_state = finished(train, run_in("cut"))
    assert again.equals(table)
    assert same(its_state, state)
    return table, state


def same(a, b):
    """Return whether two nested states are identical, including all types and the bits of arrays and tensors.

    NaN equals NaN, 0.0 differs from -0.0, and the order of keys and the device of tensors are irrelevant.
    """
    if type(a) is not type(b):
        return False
    if torch.is_tensor(a):
        return a.dtype == b.dtype and same(_bytes(a), _bytes(b))
    if isinstance(a, np.ndarray | np.generic):
        return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
    if isinstance(a, dict):
        return _typed_keys(a) == _typed_keys(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return repr(a) == repr(b) if isinstance(a, float) else a == b


def _bytes(tensor):
    """Return a tensor's memory, (*shape, bytes of an element), as an array."""
    return tensor.detach().cpu().contiguous().unsqueeze(-1).view(torch.uint8).numpy()


def _typed_keys(mapping):
    return {(type(key), key) for key in mapping}
