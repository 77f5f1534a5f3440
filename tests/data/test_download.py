"""Downloads from a loopback server: whatever goes wrong on the way, what gets the file's name is the file."""

import hashlib
import json
import random
import resource

import pytest
from server import serving  # noqa: F401

from lop.common.errors import InputError
from lop.data.checksums import Checksums
from lop.data.download import Patience, download

CONTENT = random.Random(0).randbytes(300_000)
QUICK = Patience(attempts=3, backoff=0.001, timeout=5)
DEAD = "http://127.0.0.1:9/"  # nobody listens there


class Client:
    """Downloads `file` into a folder, with a known checksum or without one."""

    def __init__(self, folder, server, known):
        self.folder, self.target = folder, folder / "file"
        self.checksums = Checksums(folder / "checksums.json", {"file": sha(CONTENT)} if known else {})
        self.server = server
        server.files["file"] = CONTENT

    def get(self, *urls):
        download("file", [f"{url}file" for url in urls or [self.server.url]], self.target, self.checksums, QUICK)
        return self.target.read_bytes()

    def refused(self, *urls):
        with pytest.raises(InputError) as error:
            self.get(*urls)
        assert "\n" not in str(error.value)
        assert not self.target.exists()
        return str(error.value)

    @property
    def left(self):
        return sorted(path.name for path in self.folder.iterdir())


def sha(content):
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def client(tmp_path, server):
    return Client(tmp_path, server, known=True)


@pytest.fixture
def unknown(tmp_path, server):
    """No checksum is known of what is downloaded."""
    return Client(tmp_path, server, known=False)


def test_whole(client):
    assert client.get() == CONTENT
    assert client.left == ["file"]


def test_what_is_there_is_not_asked_for(client, server):
    client.target.write_bytes(CONTENT)
    assert client.get() == CONTENT
    assert server.requests == []
    client.target.write_bytes(b"something else")
    assert client.get() == CONTENT


def test_cut_off_goes_on_where_it_was(client, server):
    server.cuts["file"] = [1000, 50_000]
    assert client.get() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=50000-"]


def test_a_later_call_goes_on_where_the_first_gave_up(client, server):
    server.cuts["file"] = [1000] * 3
    assert "cut off after 1,000 of 300,000 bytes" in client.refused()
    assert client.left == ["file.part", "file.part.tag"]
    server.requests.clear()
    assert client.get() == CONTENT
    assert server.requests == [("file", "bytes=1000-")]
    assert client.left == ["file"]


def test_what_had_arrived_of_another_version_is_not_kept(client, server):
    server.tags = False
    server.files["file"] = b"old" * 100_000
    server.cuts["file"] = [1000] * 3
    client.refused()
    server.files["file"] = CONTENT
    assert client.get() == CONTENT  # the pieces do not fit, so all of it is asked for again
    assert [asked for _, asked in server.requests[-2:]] == ["bytes=1000-", None]


@pytest.mark.parametrize("tags", [True, False])
def test_another_version_without_a_known_checksum(unknown, server, tags):
    server.tags = tags
    server.files["file"] = b"old" * 100_000
    server.cuts["file"] = [1000] * 3
    unknown.refused()
    server.files["file"] = CONTENT
    assert unknown.get() == CONTENT


def test_all_had_arrived_but_its_name(client, server):
    (client.folder / "file.part").write_bytes(CONTENT)
    assert client.get() == CONTENT
    (client.folder / "file.part").write_bytes(CONTENT + b"more")
    assert client.get() == CONTENT


def test_a_server_without_ranges_starts_again(client, server):
    server.ranges = False
    server.cuts["file"] = [1000]
    assert client.get() == CONTENT


def test_corrupted(client, server):
    server.files["file"] = CONTENT[:-1] + b"?"
    assert f"allowed: {sha(CONTENT)}" in client.refused()
    assert client.left == []


def test_an_html_page_instead(client, server):
    server.files["file"] = b"\n<!DOCTYPE html><html>Quota exceeded</html>"
    assert "an HTML page instead of the file" in client.refused()
    server.content_type = "text/html; charset=utf-8"
    assert "an HTML page instead of the file" in client.refused()
    assert client.left == []


def test_a_server_that_fails_twice(client, server):
    server.failures["file"] = [503, 500]
    assert client.get() == CONTENT
    assert len(server.requests) == 3


def test_a_server_that_goes_on_failing(client, server):
    server.failures["file"] = [503] * 10
    assert "status 503" in client.refused()
    assert len(server.requests) == QUICK.attempts


def test_what_is_not_there_is_not_asked_for_twice(client, server):
    del server.files["file"]
    assert "status 404" in client.refused()
    assert len(server.requests) == 1


def test_the_second_address_after_a_dead_one(client, server):
    assert client.get(DEAD, server.url) == CONTENT


def test_every_address_is_named_when_none_works(client, server):
    server.failures["file"] = [404]
    line = client.refused(DEAD, server.url)
    assert f"{DEAD}file: Connection refused; {server.url}file: status 404" in line


def test_a_pinned_checksum_is_held_to(unknown, server, capsys):
    assert unknown.get() == CONTENT
    unknown.checksums.pin(unknown.target, "file")
    assert sha(CONTENT) in capsys.readouterr().out
    assert json.loads((unknown.folder / "checksums.json").read_text()) == {"file": sha(CONTENT)}
    unknown.target.unlink()
    server.files["file"] = b"another"
    assert "as in" in unknown.refused()
    server.files["file"] = CONTENT
    assert unknown.get() == CONTENT


def test_progress_is_told(client, capsys):
    client.get()
    assert "file: 0.3 of 0.3 MB" in capsys.readouterr().err


@pytest.fixture
def full_disk():
    """No file may grow beyond 100,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_at_once_as_what_it_is(client, server, full_disk, capsys):
    line = client.refused(server.url, server.url)
    assert line.endswith("file.part: cannot be written: File too large")
    assert len(server.requests) == 1
    assert "trying again" not in capsys.readouterr().err


def test_a_folder_that_cannot_be_is_told_at_once(client, server):
    (client.folder / "no folder").touch()
    client.target = client.folder / "no folder" / "file"
    assert "file.part: cannot be written: " in client.refused(server.url, server.url)
    assert server.requests == []


def test_an_empty_file(client, server):
    server.files["file"] = b""
    assert f"found sha256 {sha(b'')}" in client.refused()
