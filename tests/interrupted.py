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
    """Return whether two nested states are equal, treating NaN as equal to NaN."""
    if torch.is_tensor(a):
        return torch.equal(torch.isnan(a), torch.isnan(b)) and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
