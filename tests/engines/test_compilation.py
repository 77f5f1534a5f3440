"""Compiled code on disk is shared by concurrent processes and renewed when the code that it calls changes."""

import os
import subprocess
import sys

import pytest

from lop.engines import compilation

SCRIPT = """
import numpy as np
from lop.engines import activations
z = np.array([-1.0, 2.0], np.float32)
activations.apply_activation(1, z)
assert z.tolist() == [0, 2]
print(sum(activations.apply_activation.function.stats.cache_misses.values()))
"""


def test_concurrent_processes_compile_a_function_once(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT]
    processes = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    assert sorted(int(process.communicate()[0]) for process in processes) == [0, 0, 1]


@pytest.mark.parametrize("name", ["a", "b"])
def test_name_of_a_compiled_function_contains_the_digest_of_its_code(name, monkeypatch):
    monkeypatch.setattr(compilation, "digest", lambda module: name * 16)

    def function(x):
        return x + 1

    entry = compilation.Entry(function)
    assert entry.function.py_func.__qualname__.endswith(name * 16)


def test_functions_are_compiled_on_file_systems_without_locks(monkeypatch, tmp_path):
    def unavailable(self):
        raise NotImplementedError

    monkeypatch.setattr(compilation.FileLock, "acquire", unavailable)
    with compilation._locked(tmp_path):
        pass
