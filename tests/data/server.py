"""A loopback HTTP server that fails on request."""

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


class Server:
    """Serve `files` (name to bytes) and record `requests` as (name, Range header)."""

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.failures: dict[str, list[int]] = {}  # error statuses of the first responses
        self.cuts: dict[str, list[int]] = {}  # positions at which the first transfers are cut
        self.requests: list[tuple[str, str | None]] = []
        self.ranges = True
        self.misplaced = False  # whether it sends a range that begins a byte before the requested one
        self.tags = True
        self.content_type = "application/octet-stream"
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(server):
        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                name = self.path.lstrip("/")
                server.requests.append((name, self.headers["Range"]))
                if server.failures.get(name):
                    return self.send_error(server.failures[name].pop(0))
                if name not in server.files:
                    return self.send_error(404)
                self._send(name, server.files[name])

            def _send(self, name, content):
                tag = f'"{hash(content)}"'
                start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])
                same = self.headers["If-Range"] in (None, tag)
                if not (server.ranges and same):
                    start = 0
                start -= bool(start and server.misplaced)
                if start and start >= len(content):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(content)}")
                    self.send_header("Content-Length", "0")
                    return self.end_headers()
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                if server.tags:
                    self.send_header("ETag", tag)
                self.send_header("Content-Type", server.content_type)
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                end = server.cuts[name].pop(0) if server.cuts.get(name) else len(content)
                self.wfile.write(content[start:end])

        return Handler


@pytest.fixture(name="server")
def serving():
    """Yield a loopback server without files."""
    server = Server()
    yield server
    server.close()
