"""Commands work, or end in one line, if their process has closed streams or low limits."""

import subprocess
import sys

import pytest
from refusals import names

from lop.common import LEAST
from lop.common.errors import EXIT_BAD_INPUT
from lop.common.paths import ROOT


def shell(command: str) -> subprocess.CompletedProcess:
    """Execute a command of the shell, in which `python` is the interpreter."""
    return subprocess.run(("bash", "-c", command.replace("python", sys.executable)), capture_output=True, text=True)


@pytest.mark.parametrize(("limit", "value"), [("ulimit -n", 6), ("ulimit -v", 900_000)])
@pytest.mark.parametrize("command", ["-m lop.plan --help", f"{ROOT}/lop/rl/run_ppo.py --help"])
def test_a_low_limit_is_reported_in_one_line(limit, value, command):
    done = shell(f"{limit} {value}; cd {ROOT}; python {command}")
    assert done.returncode == EXIT_BAD_INPUT
    names(done.stderr, limit, f"{value:,}", f"{LEAST[limit][1]:,}")


def test_closed_streams_are_opened():
    """Importing MuJoCo starts a process, which needs them."""
    assert shell(f"cd {ROOT}; python -m lop.rl.run_ppo --help <&- >&- 2>&-").returncode == 0


def test_programs_that_import_lop_keep_their_limits_and_streams():
    code = "import os, lop.common\ntry: os.fstat(0)\nexcept OSError: print(0)"
    assert shell(f"ulimit -n 32; cd {ROOT}; python -c '{code}' <&-").stdout == "0\n"
