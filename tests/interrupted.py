"""Runs that end in the middle, and what runs leave."""

import pyarrow.parquet as pq
import torch

from lop.runs import checkpoint
from lop.runs.runner import Run


class PowerCut(Exception):
    pass


class InterruptedRun(Run):
    """Saves before one of its steps, and ends some steps later, all that it has done since then lost."""

    saved_at = 10**9

    def steps(self, n, unit="steps", stride=1):
        for step in super().steps(n, unit, stride):
            if step == self.saved_at:
                self.save()
            if step == self.saved_at + 2:
                raise PowerCut
            yield step


def finished(train, run):
    """The table of a run, and all of its state at its end."""
    run.execute(train)
    return pq.read_table(run.output), checkpoint.load(run.checkpoint, run.spec)["tracked"]


def same(a, b):
    if torch.is_tensor(a):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
