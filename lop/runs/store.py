"""Finished and interrupted runs by the fingerprint of what made them, beside the results: <results>/.store.

Snakemake deletes a job's outputs before it runs the job again. Undoing a change to a parameter or to the code, or a
harmless change to a rule, brings a run back from here within a second.
"""

from pathlib import Path

from lop.files import link_or_copy
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

    @staticmethod
    def keep(file: Path, entry: Path) -> None:
        """Have `file` under the name `entry` too."""
        link_or_copy(file, entry)

    @staticmethod
    def restore(entry: Path, file: Path) -> bool:
        """Bring `entry` back as `file`, as new as if it had just been written; False if there is none."""
        if not entry.is_file():
            return False
        link_or_copy(entry, file)
        file.touch()
        return True
