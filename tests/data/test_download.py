"""Downloads from a loopback server: only a complete and correct file gets its final name."""

import errno
import hashlib
import json
import os
import random
import resource

import pytest
from refusals import names, refusal
from server import serving  # noqa: F401

from lop.data.checksums import Checksums
from lop.data.download import Patience, download

CONTENT = random.Random(0).randbytes(300_000)
QUICK = Patience(attempts=3, backoff=0.001, timeout=5)
DEAD = "http://127.0.0.1:9/"  # a port without a server


class Client:
    """Download `file` into a folder, with or without a known checksum."""

    def __init__(self, folder, server, known):
        self.folder, self.target = folder, folder / "file"
        self.checksums = Checksums(folder / "checksums.json", {"file": sha(CONTENT)} if known else {})
        self.server = server
        server.files["file"] = CONTENT

    def get(self, *urls):
        download("file", [f"{url}file" for url in urls or [self.server.url]], self.target, self.checksums, QUICK)
        return self.target.read_bytes()

    def refused(self, *facts, urls=()):
        with refusal("file", *facts):
            self.get(*urls)
        assert not self.target.exists()

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
    """Return a client without a known checksum."""
    return Client(tmp_path, server, known=False)


def test_file_is_downloaded(client):
    assert client.get() == CONTENT
    assert client.left == ["file"]


def test_existing_file_is_requested_only_if_its_checksum_is_wrong(client, server):
    client.target.write_bytes(CONTENT)
    assert client.get() == CONTENT
    assert server.requests == []
    client.target.write_bytes(b"something else")
    assert client.get() == CONTENT


def test_interrupted_transfer_is_resumed(client, server):
    server.cuts["file"] = [1000, 50_000]
    assert client.get() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", "bytes=50000-"]


def test_later_call_resumes_a_failed_download(client, server):
    server.cuts["file"] = [1000] * 3
    client.refused(server.url + "file", "1,000", "300,000")
    assert client.left == ["file.part", "file.part.tag"]
    server.requests.clear()
    assert client.get() == CONTENT
    assert server.requests == [("file", "bytes=1000-")]
    assert client.left == ["file"]


def test_partial_file_of_another_version_is_discarded(client, server):
    server.tags = False
    server.files["file"] = b"old" * 100_000
    server.cuts["file"] = [1000] * 3
    client.refused()
    server.files["file"] = CONTENT
    assert client.get() == CONTENT  # the parts do not match, so the whole file is requested again
    assert [asked for _, asked in server.requests[-2:]] == ["bytes=1000-", None]


@pytest.mark.parametrize("tags", [True, False])
def test_partial_file_of_another_version_is_discarded_without_a_known_checksum(unknown, server, tags):
    server.tags = tags
    server.files["file"] = b"old" * 100_000
    server.cuts["file"] = [1000] * 3
    unknown.refused()
    server.files["file"] = CONTENT
    assert unknown.get() == CONTENT


@pytest.mark.parametrize(("more", "requests"), [(b"", ["bytes=300000-"]), (b"more", ["bytes=300004-", None])])
def test_complete_or_too_long_partial_file_gives_the_correct_file(more, requests, client, server):
    (client.folder / "file.part").write_bytes(CONTENT + more)
    assert client.get() == CONTENT
    assert [asked for _, asked in server.requests] == requests


def test_transfer_restarts_if_the_server_sends_another_range(client, server):
    server.misplaced = True
    server.cuts["file"] = [1000]
    assert client.get() == CONTENT
    assert [asked for _, asked in server.requests] == [None, "bytes=1000-", None]


def test_transfer_restarts_if_the_server_ignores_ranges(client, server):
    server.ranges = False
    server.cuts["file"] = [1000]
    assert client.get() == CONTENT


def test_corrupted_file_is_rejected(client, server):
    server.files["file"] = CONTENT[:-1] + b"?"
    client.refused(sha(server.files["file"]), sha(CONTENT))
    assert client.left == []


def test_html_page_is_rejected(client, server):
    server.files["file"] = b"\n<!DOCTYPE html><html>Quota exceeded</html>"
    client.refused("HTML")
    server.content_type = "text/html; charset=utf-8"
    client.refused("HTML")
    assert client.left == []


def test_server_errors_are_retried(client, server):
    server.failures["file"] = [503, 500]
    assert client.get() == CONTENT
    assert len(server.requests) == 3


def test_retries_end_after_the_given_attempts(client, server):
    server.failures["file"] = [503] * 10
    client.refused(503)
    assert len(server.requests) == QUICK.attempts


def test_status_404_is_not_retried(client, server):
    del server.files["file"]
    client.refused(404)
    assert len(server.requests) == 1


def test_second_address_is_used_if_the_first_fails(client, server):
    assert client.get(DEAD, server.url) == CONTENT


def test_error_names_every_failed_address(client, server):
    server.failures["file"] = [404]
    why = os.strerror(errno.ECONNREFUSED)
    client.refused(f"{DEAD}file", why, f"{server.url}file", 404, urls=(DEAD, server.url))


def test_pinned_checksum_is_enforced(unknown, server, capsys):
    assert unknown.get() == CONTENT
    unknown.checksums.pin(unknown.target, "file")
    assert sha(CONTENT) in capsys.readouterr().out
    assert json.loads((unknown.folder / "checksums.json").read_text()) == {"file": sha(CONTENT)}
    unknown.target.unlink()
    server.files["file"] = b"another"
    unknown.refused(sha(b"another"), sha(CONTENT), "checksums.json")
    server.files["file"] = CONTENT
    assert unknown.get() == CONTENT


def test_progress_is_printed(client, capsys):
    client.get()
    names(capsys.readouterr().err.splitlines()[-1], "file", "0.3", "MB")


@pytest.fixture
def full_disk():
    """Limit the size of files to 100,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_full_disk_is_reported_without_retries(client, server, full_disk):
    part = client.folder / "file.part"
    client.refused(part, os.strerror(errno.EFBIG), urls=(server.url, server.url))
    assert len(server.requests) == 1


def test_unusable_folder_is_reported_without_a_request(client, server):
    (client.folder / "no folder").touch()
    client.target = client.folder / "no folder" / "file"
    client.refused(client.folder / "no folder" / "file.part", urls=(server.url, server.url))
    assert server.requests == []


def test_empty_file_is_rejected(client, server):
    server.files["file"] = b""
    client.refused(sha(b""), sha(CONTENT))
