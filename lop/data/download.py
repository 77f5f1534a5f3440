"""Downloads with mirrors, resumed transfers and checksums.

Based on urllib, because pooch supports neither mirrors nor resumed transfers.
"""

import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.data.checksums import Checksums, sha256

PIECE = 2**18  # bytes read at a time
PASSING = (408, 425, 429, 500, 502, 503, 504)  # HTTP status codes that are worth a retry


class _Failed(Exception):
    """Incomplete attempt; `again` says whether a retry at the same address may succeed."""

    def __init__(self, why: str, again: bool):
        super().__init__(why)
        self.again = again


@dataclass(frozen=True)
class Patience:
    """Retries and timeouts; times in seconds."""

    attempts: int = 6  # consecutive attempts at one address without any new data
    backoff: float = 1.0  # before the second attempt; doubled before each further one
    timeout: float = 30.0  # time without any data


def download(
    name: str, urls: Sequence[str], target: Path, checksums: Checksums, patience: Patience = Patience()
) -> None:
    """Download a file from the first address that provides it completely.

    If `target` exists and has its expected checksum, nothing is requested. Data is received in `<target>.part`, which
    is renamed to `target` once its checksum, if one is known, is correct. A later call continues a partial download.

    Args:
        name: name of the file, for `checksums` and messages.
        urls: addresses, tried in this order.
        target: path of the downloaded file.
        checksums: expected checksums by name.
        patience: retries and timeouts.

    Raises:
        InputError: no address provides the file, with the reason for each of them; or a local file cannot be written.
    """
    with suppress(InputError):  # a damaged file is downloaded again
        if target.is_file() and checksums.of(name) == sha256(target):
            return
    part = Partial(target)
    failures = []
    for url in urls:
        fill = partial(_from_one, url, part, patience)
        try:
            fill(known=checksums.of(name) is not None)
            _keep(name, part, checksums, once_more=partial(fill, known=True))
            return
        except _Failed as error:
            failures.append(f"{url}: {error}")
    raise InputError(f"{name}: cannot be downloaded: {'; '.join(failures)}")


def _keep(name: str, part: "Partial", checksums: Checksums, once_more: Callable[[], None]) -> None:
    """Verify a download and rename it; retry once if it is pieced together, possibly from two versions of the file."""
    pieced = part.pieced
    try:
        _check(name, part, checksums)
    except _Failed:
        if not pieced:
            raise
        once_more()
        _check(name, part, checksums)
    part.finish()


def _check(name: str, part: "Partial", checksums: Checksums) -> None:
    try:
        checksums.check(part.path, name)
    except InputError as error:
        part.drop()
        raise _Failed(str(error), False) from None


@contextmanager
def _written(path: Path) -> Iterator[None]:
    """Report a failed write, such as on a full disk, as an InputError: no other address would help."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be written: {error.strerror or error}") from None


class Partial:
    """Partial download: the data received so far and the server's tag of the file's version.

    All methods that write raise an InputError if they cannot.

    Args:
        target: path of the complete file.
    """

    def __init__(self, target: Path):
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.tag_path = target.with_name(f"{target.name}.part.tag")
        self.pieced = False

    @property
    def size(self) -> int:
        """Number of bytes received so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def tag(self) -> str:
        """ETag of the version that is being downloaded; empty if the server gives none."""
        return self.tag_path.read_text() if self.tag_path.exists() else ""

    def begin(self, tag: str) -> None:
        """Start an empty download of the version with the given tag."""
        self.drop()
        with _written(self.path):
            with atomic_file(self.tag_path) as temporary:
                temporary.write_text(tag)
            self.path.touch()

    def add(self, piece: bytes) -> None:
        """Append received data."""
        with _written(self.path), open(self.path, "ab") as file:
            file.write(piece)

    def drop(self) -> None:
        """Delete the received data."""
        with _written(self.path):
            self.path.unlink(missing_ok=True)
            self.tag_path.unlink(missing_ok=True)
        self.pieced = False

    def finish(self) -> None:
        """Sync the data to disk and rename it to the target."""
        with _written(self.target):
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self.path, self.target)
            self.tag_path.unlink(missing_ok=True)


def _from_one(url: str, part: Partial, patience: Patience, known: bool) -> None:
    """Complete `part` from one address; without a known checksum, continue only a version that has a tag."""
    with _written(part.path):
        part.path.parent.mkdir(parents=True, exist_ok=True)
    failed = 0
    while True:
        before = part.size
        if before and not (known or part.tag):
            part.drop()
        try:
            return _attempt(url, part, patience.timeout)
        except _Failed as error:
            failed = 1 if part.size > before else failed + 1
            if not error.again or failed >= patience.attempts:
                raise
            wait = patience.backoff * 2 ** (failed - 1)
            print(f"{url}: {error}; retrying in {wait:g} s", file=sys.stderr, flush=True)
            time.sleep(wait)


def _attempt(url: str, part: Partial, timeout: float) -> None:
    """Request the missing data once; raise _Failed if the file is still incomplete."""
    start = part.size
    headers = {"User-Agent": "lop"}
    if start:
        headers |= {"Range": f"bytes={start}-"} | ({"If-Range": part.tag} if part.tag else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout) as response:
            _receive(url, response, part, start)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            return _nothing_missing(error.headers.get("Content-Range", ""), part)
        raise _Failed(f"status {error.code} {error.reason}", error.code in PASSING) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _Failed(_why(error), True) from None


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return str(getattr(reason, "strerror", None) or reason) or type(reason).__name__


def _nothing_missing(content_range: str, part: Partial) -> None:
    """Accept that the server has no further data if the sizes agree; otherwise it has another version."""
    if content_range != f"bytes */{part.size}":
        part.drop()
        raise _Failed("the partial download does not match the file on the server", True)
    part.pieced = True


def _receive(url: str, response: http.client.HTTPResponse, part: Partial, start: int) -> None:
    if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
        raise _Failed("an HTML page instead of the file", False)
    going_on = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status == 206 and going_on and int(going_on[1]) == start:
        part.pieced = True
    elif response.status == 200:
        start = 0
        part.begin(_tag(response))
    else:
        part.drop()
        raise _Failed(f"status {response.status} with a range that was not requested", True)
    length = response.headers.get("Content-Length")
    total = start + int(length) if length and length.isdigit() else None
    progress = Progress(part.target.name, start, total)
    while piece := response.read(PIECE):
        if not part.size and piece.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
            part.drop()
            raise _Failed("an HTML page instead of the file", False)
        part.add(piece)
        progress.tell(part.size)
    if total is not None and part.size < total:
        raise _Failed(f"interrupted after {part.size:,} of {total:,} bytes", True)


def _tag(response: http.client.HTTPResponse) -> str:
    """Return the ETag if it is strong, as If-Range requires, else an empty string."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else ""


class Progress:
    """Progress of a download: one line that is redrawn on a terminal, or a new line every ten seconds.

    Args:
        name: name of the file.
        start: bytes received earlier.
        total: size of the file in bytes; None if unknown.
    """

    def __init__(self, name: str, start: int, total: int | None):
        self.name, self.start, self.total = name, start, total
        self.live = sys.stderr.isatty()
        self.begin = self.told = time.monotonic()

    def tell(self, here: int) -> None:
        """Report the number of bytes received, if a line is due or the download is complete."""
        now = time.monotonic()
        done = here == self.total
        if now - self.told < (0.2 if self.live else 10) and not done:
            return
        self.told = now
        speed = (here - self.start) / max(now - self.begin, 1e-3) / 1e6
        of = f" of {self.total / 1e6:,.1f}" if self.total else ""
        end = "\n" if done or not self.live else ""
        print(f"{chr(13) * self.live}{self.name}: {here / 1e6:,.1f}{of} MB, {speed:.1f} MB/s", end=end, file=sys.stderr)
        sys.stderr.flush()
