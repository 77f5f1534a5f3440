import pytest

from lop.data.checksums import Checksums


@pytest.fixture
def supplied(tmp_path):
    folder = tmp_path / "supplied"
    folder.mkdir()
    return folder


@pytest.fixture
def checksums(tmp_path):
    return Checksums(tmp_path / "checksums.json")
