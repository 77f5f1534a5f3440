"""Commands work, or end in one line, if their process has closed streams or low limits."""

import subprocess
import sys

import pytest
from refusals import names

from lop.common import LEAST
from lop.common.errors import EXIT_BAD_INPUT


def shell(command: str) -> subprocess.CompletedProcess:
    """Execute a command of the shell, in which `python` is the interpreter."""
    return subprocess.run(("bash", "-c", command.replace("python", sys.executable)), capture_output=True, text=True)


@pytest.mark.parametrize(("limit", "value"), [("ulimit -n", 6), ("ulimit -v", 900_000)])
def test_a_low_limit_is_reported_in_one_line(limit, value):
    done = shell(f"{limit} {value}; python -c 'import lop.common'")
    assert done.returncode == EXIT_BAD_INPUT
    names(done.stderr, limit, f"{value:,}", f"{LEAST[limit][1]:,}")


def test_closed_streams_are_opened():
    """Importing MuJoCo starts a process, which needs them."""
    assert shell("python -c 'import lop.common, mujoco' <&- >&- 2>&-").returncode == 0
