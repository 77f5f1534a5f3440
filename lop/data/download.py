"""Files from the network: several addresses, cut-off transfers that go on, checksums.

urllib rather than pooch, which has neither mirrors nor resuming.
"""

import http.client
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.data.checksums import Checksums, sha256

PIECE = 2**18  # bytes read at a time
PASSING = (408, 425, 429, 500, 502, 503, 504)  # statuses that may be gone at the next attempt


class _Failed(Exception):
    """An attempt that did not bring the whole file; `again` says if another one at the same address may."""

    def __init__(self, why: str, again: bool):
        super().__init__(why)
        self.again = again


@dataclass(frozen=True)
class Patience:
    """How often and how long to try; times in seconds."""

    attempts: int = 6  # at one address, without a byte more than before
    backoff: float = 1.0  # before the second attempt; doubled before each further one
    timeout: float = 30.0  # without any data


def download(
    name: str, urls: Sequence[str], target: Path, checksums: Checksums, patience: Patience = Patience()
) -> None:
    """Bring the file `name` from the first of `urls` that has it whole.

    Nothing is asked for if `target` is there with its known checksum. What has arrived lies in `<target>.part` until
    its checksum, if one is known, is found good; the next call goes on from there. InputError, in one line with each
    address and what went wrong there, if none has it; at once if a file here cannot be written.
    """
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
    """Give a checked file its name. One put together from several transfers may hold two versions: it gets one more."""
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
    """A disk that is full is no matter of the network's, and no address helps."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{shown(path)}: cannot be written: {error.strerror or error}") from None


class Partial:
    """What has arrived of a file, and the server's tag of its version; InputError if that cannot be written."""

    def __init__(self, target: Path):
        self.target = target
        self.path = target.with_name(f"{target.name}.part")
        self.tag_path = target.with_name(f"{target.name}.part.tag")
        self.pieced = False

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def tag(self) -> str:
        return self.tag_path.read_text() if self.tag_path.exists() else ""

    def begin(self, tag: str) -> None:
        self.drop()
        with _written(self.path):
            with atomic_file(self.tag_path) as temporary:
                temporary.write_text(tag)
            self.path.touch()

    def add(self, piece: bytes) -> None:
        with _written(self.path), open(self.path, "ab") as file:
            file.write(piece)

    def drop(self) -> None:
        with _written(self.path):
            self.path.unlink(missing_ok=True)
            self.tag_path.unlink(missing_ok=True)
        self.pieced = False

    def finish(self) -> None:
        with _written(self.target):
            with open(self.path, "rb") as file:
                os.fsync(file.fileno())
            os.replace(self.path, self.target)
            self.tag_path.unlink(missing_ok=True)


def _from_one(url: str, part: Partial, patience: Patience, known: bool) -> None:
    """Fill `part` from one address. Without a known checksum only a version with a tag is gone on with."""
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
            print(f"{url}: {error}; trying again in {wait:g} s", file=sys.stderr, flush=True)
            time.sleep(wait)


def _attempt(url: str, part: Partial, timeout: float) -> None:
    """One request for what is missing; _Failed if the file is not whole afterwards."""
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
    """A server that has nothing after what is there: it is all, unless it is of another version."""
    if content_range != f"bytes */{part.size}":
        part.drop()
        raise _Failed("what had arrived is no part of the file that is there now", True)
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
        raise _Failed(f"status {response.status} for another part than was asked for", True)
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
        raise _Failed(f"cut off after {part.size:,} of {total:,} bytes", True)


def _tag(response: http.client.HTTPResponse) -> str:
    """A strong validator, as If-Range takes it, or nothing."""
    tag = response.headers.get("ETag", "")
    return tag if tag.startswith('"') else ""


class Progress:
    """How much of a file is there: a line that renews itself on a terminal, else a line every ten seconds."""

    def __init__(self, name: str, start: int, total: int | None):
        self.name, self.start, self.total = name, start, total
        self.live = sys.stderr.isatty()
        self.begin = self.told = time.monotonic()

    def tell(self, here: int) -> None:
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
