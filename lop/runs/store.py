"""Finished and interrupted runs by the fingerprint of what made them, beside the results: <results>/.store.

Snakemake deletes a job's outputs before it runs the job again. Undoing a change to a parameter or to the code, or a
harmless change to a rule, brings a run back from here within a second.
"""

import shutil
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import atomic_file, link_or_copy
from lop.runs.metrics import read_about
from lop.runs.spec import RunSpec


class Store:
    """A folder of `<key>/metrics-<horizon>.parquet` and `<key>/checkpoint.pt`."""

    def __init__(self, results: Path):
        self.folder = results / ".store"

    def metrics(self, spec: RunSpec) -> Path:
        return self._entry(spec.key) / f"metrics-{spec.horizon}.parquet"

    def checkpoint(self, key: str) -> Path:
        return self._entry(key) / "checkpoint.pt"

    def _entry(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def restore_metrics(self, spec: RunSpec, output: Path) -> bool:
        """Bring a finished run's metrics back; False if there are none, or damaged ones.

        A copy, as new as if it had just been written: what is made from it has to be made again.
        """
        entry = self.metrics(spec)
        try:
            read_about(entry)
        except InputError:
            return False
        with atomic_file(output) as temporary:
            shutil.copyfile(entry, temporary)
        return True

    def keep_checkpoint(self, file: Path, key: str) -> None:
        """Have a run's checkpoint here too."""
        link_or_copy(file, self.checkpoint(key))

    def restore_checkpoint(self, spec: RunSpec, file: Path) -> None:
        """Bring a run's checkpoint back, or that of a run that it goes on from, if there is one."""
        there = (entry for entry in map(self.checkpoint, spec.keys) if entry.is_file())
        if entry := next(there, None):
            link_or_copy(entry, file)
