import os
import sys
from pathlib import Path

import pytest
import torch
from forked import Server
from hypothesis import settings

from lop.algos.cuda_graphs import Recording
from lop.common.locks import locked
from lop.data.prepare import prepare
from lop.data.sets import ImageSource

settings.register_profile("ci", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=3_000)  # HYPOTHESIS_PROFILE=thorough make test
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

if torch.cuda.is_available():
    OTHER_DEVICE = "cuda"
else:  # must precede the first backward pass, in which torch enumerates the devices
    from pretended import DEVICE

    OTHER_DEVICE = str(DEVICE)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the slowest folders first, which balances the load of the workers."""
    items.sort(key=lambda item: {"workflow": 0, "rl": 1}.get(item.path.parent.name, 2))


@pytest.fixture(scope="session")
def python():
    """Return an interpreter that has already imported the libraries."""
    if sys.platform != "linux":  # where forking a process with these libraries is unsafe
        yield Path(sys.executable)
        return
    server = Server()
    yield server.python
    server.close()


@pytest.fixture
def replays(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that collects the minibatch size of every replay of a CUDA graph."""
    sizes, replay = [], Recording.replay
    monkeypatch.setattr(Recording, "replay", lambda self, inputs: sizes.append(len(inputs[0])) or replay(self, inputs))
    return sizes


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory, worker_id):
    """Return a data folder with the built-in MNIST, prepared once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "data"
    folder.mkdir(exist_ok=True)
    with locked(folder / "mnist"):
        if not all(path.exists() for path in ImageSource().files("mnist", data=folder)):
            prepare("mnist", ImageSource(), data=folder)
    return folder


@pytest.fixture(scope="session")
def other_device() -> str:
    """Return the name of a device other than the CPU: a GPU if available, otherwise a simulated device."""
    return OTHER_DEVICE
