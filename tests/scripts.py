"""Run a problem's script, in the test process or in its own."""

import atexit
import gc
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr
from pathlib import Path
from types import ModuleType
from unittest.mock import patch

from lop.runs.command_line import main


def run(script: ModuleType, *arguments: object) -> str:
    """Call the entry point of a script as `python <script> <arguments>` does in the folder of its problem.

    The state of the test process is restored. Do not pass `--die-with-parent`, which would affect the whole process.

    Args:
        script: module of the script, such as `lop.rl.run_ppo`.
        arguments: command-line arguments; paths are relative to the folder of the problem.

    Returns:
        The script's standard error, which is also written to that of this process.

    Raises:
        SystemExit: the script ended early, with this exit status.
    """
    written = io.StringIO()
    try:
        with (
            chdir(script.PROBLEM.folder),
            redirect_stderr(written),
            patch.dict(os.environ),
        ):
            try:
                main(script.PROBLEM, script.__doc__, script.train, [str(argument) for argument in arguments])
            finally:
                for stream in getattr(sys.stderr, "streams", ())[1:]:
                    stream.close()  # the log
    finally:
        atexit.unregister(gc.freeze)
        sys.stderr.write(written.getvalue())
    return written.getvalue()


def command(script: ModuleType, *arguments: object) -> list[str]:
    """Return the command that starts a script as a file from the folder of its problem."""
    return [sys.executable, Path(script.__file__).name, *map(str, arguments)]


@contextmanager
def started(script: ModuleType, *arguments: object) -> Iterator[subprocess.Popen]:
    """Start a script as a file in the folder of its problem; kill it at the end of the block if it is still running."""
    with subprocess.Popen(
        command(script, *arguments), cwd=script.PROBLEM.folder, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def metrics_file(results: Path, seed: int = 0) -> Path:
    """Return the only metrics file of a seed in a folder of results."""
    folders = (f"seed-{seed}", f"seed-{seed}-*")  # without and with inputs
    (path,) = (path for folder in folders for path in results.glob(f"*/*/*/{folder}/metrics-*.parquet"))
    return path
