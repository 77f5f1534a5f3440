import pytest
from server import Server


@pytest.fixture
def server():
    """A loopback server without files."""
    server = Server()
    yield server
    server.close()
