import pytest

from lop.data.prepare import prepare
from lop.data.sets import files
from lop.runs.lock import locked


@pytest.fixture(scope="session")
def data(tmp_path_factory, worker_id):
    """A folder with the built-in MNIST, made once for all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "data"
    folder.mkdir(exist_ok=True)
    with locked(folder / "mnist"):
        if not all(path.exists() for path in files("mnist", "glyphs", data=folder)):
            prepare("mnist", "glyphs", data=folder)
    return folder
