"""A host that holds one file behind a URL, and gives it out as a test wants: whole, in parts, cut off, or not at all.

It is no part of the service: what it is sent beside the request itself is what a stranger would see.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.waiting import PATIENCE

CONTENT = bytes(range(256)) * 1024
ETAG = '"v1"'


@dataclass
class Script:
    """What becomes of one request; what is not said is as it should be.

    Attributes:
        status: instead of 200 or 206.
        cut: how many bytes of the body are sent before the connection breaks.
        claim: the Content-Length, instead of the true one.
        headers: beside the others, or instead of them; an empty one is left out.
        content: instead of the host's.
        before: called before the answer.
    """

    status: int | None = None
    cut: int | None = None
    claim: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    before: Callable[[], object] | None = None


class FileHost:
    """Carries out the scripts in order, then answers as it should."""

    def __init__(self, *scripts: Script, ranges: bool = True) -> None:
        self.scripts = list(scripts)
        self.ranges = ranges
        self.content = CONTENT
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._httpd.daemon_threads = True
        self._thread = threading.Thread(target=self._httpd.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._httpd.shutdown()
        self._httpd.server_close()
        self._thread.join(PATIENCE)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._httpd.server_address[1]}/talk.mp4?signature=sig_secret"

    @property
    def asked(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [headers.get("range") for _, headers in self.requests]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    host: FileHost

    def do_GET(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.host.requests.append((self.path, headers))
        script = self.host.scripts.pop(0) if self.host.scripts else Script()
        if script.before is not None:
            script.before()
        content = self.host.content if script.content is None else script.content
        status, start = self._part(headers, len(content)) if script.status != 200 else (200, 0)
        status = script.status or status
        body = content[start:] if status in (200, 206) else b""
        told = {"etag": ETAG, "content-length": str(len(body) if script.claim is None else script.claim)}
        if status == 206:
            told["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self._answer(status, told | script.headers, body[: script.cut])
        if script.cut is not None:
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()

    def _part(self, headers: dict[str, str], size: int) -> tuple[int, int]:
        found = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        if found is None or not self.host.ranges or headers.get("if-range") != ETAG:
            return 200, 0
        return (206, int(found[1])) if int(found[1]) < size else (416, size)

    def log_message(self, *_: object) -> None:
        """Tests look at `requests`."""


def _handler(host: FileHost) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"host": host})
