import pytest
from project import Project

from lop.common.locks import locked

FIGURES = ("fig4a", "ed2_cbp", "fig1b_first")


@pytest.fixture(scope="session")
def built(tmp_path_factory, worker_id, python):
    """A project with three figures, built once for all workers; tests copy it."""
    base = tmp_path_factory.getbasetemp()
    base = (base if worker_id == "master" else base.parent) / "built"
    folder, log = base / "project", base / "log"
    with locked(base):
        if not log.exists():
            project = Project(folder, python=python)
            log.write_text(project.build(*(f"figures/{figure}.pdf" for figure in FIGURES), "--verbose"))
    return folder


@pytest.fixture(scope="session")
def build_log(built):
    """Snakemake's output from the build of `built`."""
    return built.with_name("log").read_text()


@pytest.fixture
def project(built, tmp_path, python):
    """A copy of the built project."""
    return Project(tmp_path / "project", built, python)


@pytest.fixture
def fresh(tmp_path, python):
    """A copy of the project without results."""
    return Project(tmp_path / "project", python=python)
