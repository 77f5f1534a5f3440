import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from forked import Server
from hypothesis import settings

from lop.algos.cuda_graphs import Recording
from lop.common.locks import locked
from lop.data.formats import CIFAR_RECORD, write_class
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


def pytest_terminal_summary(terminalreporter) -> None:
    """Print how many faults the tests injected (`record_property("faults", n)`)."""
    reports = (
        report for kind in terminalreporter.stats.values() for report in kind if hasattr(report, "user_properties")
    )
    survived = sum(
        number
        for report in reports
        if getattr(report, "when", "") == "call" and report.passed
        for name, number in report.user_properties
        if name == "faults"
    )
    if survived:
        terminalreporter.write_line(f"faults injected and survived: {survived:,}")


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
def _reproducible():
    """Use one thread, and a seed that does not depend on the order of the tests."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


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
def imagenet_images(tmp_path_factory):
    """Return the folder of an ImageNet set of four classes: noise around one pattern per class."""
    folder, rng = tmp_path_factory.mktemp("data") / "original" / "imagenet", np.random.default_rng(0)
    for number in range(4):
        noise = rng.uniform(-0.5, 0.5, (700, 3, 32, 32))
        write_class(folder / "classes" / f"{number}.npy", noise + rng.uniform(-0.2, 0.2, (3, 32, 32)))
    return folder


@pytest.fixture(scope="session")
def cifar_images(tmp_path_factory):
    """Return the folder of a CIFAR-100 of all 60,000 records: noise around one colour per class."""
    folder, rng = tmp_path_factory.mktemp("data") / "original" / "cifar-100", np.random.default_rng(0)
    folder.mkdir(parents=True)
    colours = rng.integers(60, 196, (100, 3, 1, 1))
    for name, count in (("train", 50_000), ("test", 10_000)):
        records = np.zeros(count, CIFAR_RECORD)
        records["fine"] = rng.permutation(np.repeat(np.arange(100), count // 100))
        noise = rng.integers(0, 60, (count, 3, 1, 1), np.uint8)
        records["image"] = colours[records["fine"]] + noise
        records.tofile(folder / f"{name}.bin")
    return folder


@pytest.fixture(scope="session")
def other_device() -> str:
    """Return the name of a device other than the CPU: a GPU if available, otherwise a simulated device."""
    return OTHER_DEVICE
