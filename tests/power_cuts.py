"""States in which a power cut can leave the files of a folder.

Until they are synced, the contents of a file and the entries of a folder are only in memory. After a power cut, a file
has its contents at the last sync; if it was never synced, it is empty, half written or complete. A folder has its
entries at the last sync or those in memory, also with any single entry of the other. Real file systems rule out some
of these states.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from operations import Watched

Entries = dict[Path, int]  # file: inode
Contents = dict[int, bytes]  # inode: contents


class PowerCuts(Watched):
    """Context manager that records the states that a power cut before each operation on files could leave.

    Subfolders exist as soon as they are made; without them, there is nothing to recover. At the end, the states are
    written to subfolders of `states`, and their number to `states/count`.

    Args:
        folder: folder to watch.
        states: folder for the states, outside the watched one.
        most: write at most this many states, evenly spread over all; None for all.
    """

    def __init__(self, folder: Path, states: Path, most: int | None):
        super().__init__(folder)
        self.states, self.most = states, most
        self._synced_entries: dict[Path, Entries] = {}  # folder: the entries at its last sync
        self._synced_contents: Contents = {}
        self._opened: dict[int, int] = {}  # inode: descriptor that keeps the inode from being used again
        self._known: dict[bytes, bytes] = {}  # one copy of equal contents
        self._states: dict[tuple[tuple[Path, bytes], ...], None] = {}

    def __enter__(self):
        """Take everything that exists already as synced."""
        entries, self._synced_contents = self._in_memory()
        for path, inode in entries.items():
            self._synced_entries.setdefault(path.parent, {})[path] = inode
        return super().__enter__()

    def operate(self, name: str, path: Path, function: Callable, *args, **kwargs):
        if name in ("open", "scandir"):
            return function(*args, **kwargs)
        self.is_paused = True
        entries, contents = self._in_memory()
        self._add_states(entries, contents)
        self.is_paused = False
        result = function(*args, **kwargs)
        if name == "fsync" and path in entries:
            self._synced_contents[entries[path]] = contents[entries[path]]
        elif name == "fsync":
            self._synced_entries[path] = {child: inode for child, inode in entries.items() if child.parent == path}
        return result

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        self._add_states(*self._in_memory())
        states = list(self._states)
        self.states.mkdir(parents=True)
        (self.states / "count").write_text(str(len(states)))
        for number in spread(len(states), self.most):
            for path, content in states[number]:
                copy = self.states / str(number) / path.relative_to(self.folder)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(content)

    def _in_memory(self) -> tuple[Entries, Contents]:
        entries: Entries = {}
        contents: Contents = {}
        for path in self.folder.rglob("*"):
            if path.is_file():
                entries[path] = inode = path.stat().st_ino
                content = path.read_bytes()
                contents[inode] = self._known.setdefault(content, content)
                if inode not in self._opened:
                    self._opened[inode] = os.open(path, os.O_RDONLY)
        return entries, contents

    def _add_states(self, entries: Entries, contents: Contents) -> None:
        synced = {child: inode for children in self._synced_entries.values() for child, inode in children.items()}
        for mixture in mixtures(synced, entries):
            for lost in (lambda memory: b"", lambda memory: memory[: len(memory) // 2], lambda memory: memory):
                state = {
                    path: self._synced_contents.get(inode, lost(contents.get(inode, b"")))
                    for path, inode in mixture.items()
                }
                self._states[tuple(sorted(state.items()))] = None


def mixtures(synced: Entries, memory: Entries) -> Iterator[Entries]:
    """Yield the entries last synced, those in memory, and each of them with one entry of the other."""
    changed = sorted(path for path in synced.keys() | memory.keys() if synced.get(path) != memory.get(path))
    for one, other in ((synced, memory), (memory, synced)):
        yield one
        for path in changed:
            rest = {kept: inode for kept, inode in one.items() if kept != path}
            yield rest | ({path: other[path]} if path in other else {})


def spread(count: int, most: int | None) -> list[int]:
    """Return `most` of the numbers below `count`, evenly spread; all if None."""
    return list(range(count)) if most is None or most >= count else sorted({i * count // most for i in range(most)})
