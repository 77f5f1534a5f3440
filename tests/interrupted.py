"""Runs that end in the middle, and what runs leave."""

import gc
import weakref

import pyarrow.parquet as pq
import pytest
import torch

from lop.runs import checkpoint
from lop.runs.runner import Runner


class PowerCut(Exception):
    pass


class InterruptedRun(Runner):
    """Saves before one of its steps, and ends some steps later, all that it has done since then lost."""

    saved_at = 10**9

    def steps(self, n, unit="steps", stride=1):
        for step in super().steps(n, unit, stride):
            if step == self.saved_at:
                self.save()
            if step == self.saved_at + 2 * stride:
                raise PowerCut
            yield step


def finished(train, run):
    """The table of a run, and all of its state at its end."""
    run.execute(train)
    return pq.read_table(run.output), checkpoint.load(run.checkpoint, run.spec.origin)["tracked"]


def left_behind(train, module, run_in, monkeypatch):
    """How many networks of two runs, on a GPU if there is one, are still there after them, though nobody looked for
    garbage; `run_in` makes a run, for results of a name and a device."""
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
    """Table and state of a run, which are those of one that was cut; `run_in` makes it, for results of a name."""
    run = run_in("cut")
    run.saved_at = saved_at
    with pytest.raises(PowerCut):
        run.execute(train)
    cut, cuts_state = finished(train, run_in("cut"))
    table, state = finished(train, run_in("whole"))
    assert cut.equals(table)
    assert same(cuts_state, state)
    return table, state


def same(a, b):
    if torch.is_tensor(a):
        return torch.equal(torch.isnan(a), torch.isnan(b)) and torch.equal(torch.nan_to_num(a), torch.nan_to_num(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
