"""A Python interpreter that has already imported the libraries (Linux only).

Importing torch and Snakemake takes two seconds, which most tests that start processes would spend several times.
`Server` starts one process that imports them, and provides an executable, `python`, to use in place of the interpreter:
it asks that process for a fork, which runs the program (a script, `-m module` or `-c code`) with the caller's
arguments, working directory, environment and streams. Signals are forwarded to the program; if `python` is killed, so
is the program.

Modules of lop are not imported before the fork, so every program imports its own, such as those of a copied project.
Random generators are reseeded. Other state of the server is shared with all programs:

* hashes of strings, and thus the order of sets;
* the effects of environment variables that are read at start or on import, such as PYTHONHASHSEED: the caller's values
  come too late;
* imported modules: a program can use one of `LIBRARIES` that it forgets to import;
* attributes of the process: umask, resource limits, process group.

Tests that concern any of these use `sys.executable`.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

LIBRARIES = (
    *("torch", "torch.nn.functional", "numpy.ma", "scipy.special", "numba", "pyarrow.parquet", "pandas", "pydantic"),
    *(
        "yaml",
        "filelock",
        "threadpoolctl",
        "gymnasium",
        "mujoco",
        "matplotlib.figure",
        "matplotlib.backends.backend_agg",
    ),
    *("matplotlib.backends.backend_pdf", "seaborn", "PIL.Image", "jinja2", "snakemake.cli", "snakemake.script"),
    *("snakemake.dag", "snakemake.workflow", "snakemake.scheduling.greedy"),
)
FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
ADDRESS = "FORKED_PYTHON"  # environment variable of the server: the path of its socket
PYTHON = """#!{python} -IS
import json, os, signal, socket, sys

server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
signal.pthread_sigmask(signal.SIG_BLOCK, {signals})  # until the handlers are set: the program may print before that
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(server, [len(request).to_bytes(4)], [0, 1, 2])
server.sendall(request)
for number in {signals}:
    signal.signal(number, lambda received, frame: server.send(bytes([received])))
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signals})
for stream in (0, 1, 2):  # so that a stream closes when the program closes its own
    os.close(stream)
answer = server.recv(4)
status = int.from_bytes(answer, signed=True) if len(answer) == 4 else 1
if status < 0:
    signal.signal(-status, signal.SIG_DFL) if -status != signal.SIGKILL else None
    os.kill(os.getpid(), -status)
os._exit(status)
"""


class Server:
    """A process that forks programs; ends with the process that started it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        address = f"{self._folder.name}/socket"
        self.python = Path(self._folder.name, "python")
        self.python.write_text(
            PYTHON.format(python=sys.executable, address=address, signals=tuple(map(int, FORWARDED)))
        )
        self.python.chmod(0o755)
        environment = os.environ | {ADDRESS: address, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        environment.pop("PYTHONPATH", None)
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError("the server did not start")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._folder.cleanup()


def serve() -> tuple[list[str], str, dict[str, str]]:
    """Fork for every request until standard input is closed; in the fork, return the request."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.environ[ADDRESS])
        listening.listen(64)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # forks leave no zombies
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the programs
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([0, listening], [], [])
            if 0 in ready:
                sys.exit()
            client, _ = listening.accept()
            if os.fork() == 0:
                break
            client.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    length, streams, *_ = socket.recv_fds(client, 4, 3)
    if not length:  # the client was killed
        os._exit(1)
    request = bytearray()
    while len(request) < int.from_bytes(length):
        part = client.recv(int.from_bytes(length) - len(request))
        if not part:
            os._exit(1)
        request += part
    if program := os.fork():
        for stream in (0, 1, 2, *streams):
            os.close(stream)
        supervise(program, client)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    client.close()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    return json.loads(request)


def supervise(program: int, client: socket.socket) -> None:
    """Forward signals to the program and its exit status to the client; exit when either ends."""
    ended = os.pidfd_open(program)
    while True:
        ready, _, _ = select.select([client, ended], [], [])
        if ended in ready:
            _, status = os.waitpid(program, 0)
            try:
                client.send(os.waitstatus_to_exitcode(status).to_bytes(4, signed=True))
            finally:
                os._exit(0)
        received = client.recv(1)
        os.kill(program, received[0] if received else signal.SIGKILL)
        if not received:
            os._exit(0)


def run(arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run the program as the interpreter would."""
    sys.executable = str(Path(os.environ[ADDRESS]).with_name("python"))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.modules["numpy"].random.seed()  # Python's own generator reseeds itself
    sys.modules["torch"].seed()
    sys.path[:0] = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path]
    first, *rest = arguments
    if first in ("-m", "-c"):
        sys.path.insert(0, "" if first == "-c" else folder)
        sys.argv = [first, *rest[1:]]
        if first == "-m":
            runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        else:
            exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path.insert(0, str(Path(first).resolve().parent))
        sys.argv = arguments
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.freeze()  # spare forks from scanning the libraries' objects,
    atexit.register(gc.freeze)  # also when they exit
    run(*serve())
