"""The receiver of every benchmark, a process of its own: raw `asyncio.Protocol` on uvloop, 204 to every POST.

It keeps connections, counts and, where asked to, notes when each event first arrived. Beside the good port it holds
one that accepts and never answers, and one on which nobody listens.
"""

import asyncio
import gc
import json
import os
import socket
import sys
import time
from types import TracebackType
from typing import Any, Self, cast

from benchmarks.child import Child, answer
from benchmarks.meter import cpu_seconds, run

ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
END = b"\r\n\r\n"


class Receiver:
    """The parent's handle on a receiver process; use it as a context manager."""

    def __init__(self, *, noting: bool = False) -> None:
        """Start it; `noting` keeps the instant of each event's first arrival."""
        self._child = Child("benchmarks.receiver:serve", noting=noting)
        ports = self._child.hear()
        self.port: int = ports["port"]
        self.hanging_port: int = ports["hanging_port"]
        self.refusing_port: int = ports["refusing_port"]

    def stats(self) -> tuple[int, float]:
        """Requests answered so far, and CPU seconds used so far."""
        told = self._child.ask({"tell": "stats"})
        return told["count"], told["cpu"]

    def arrivals(self) -> dict[str, float]:
        """First arrivals since the last call: event id -> Unix seconds."""
        return self._child.ask({"tell": "arrivals"})

    def __enter__(self) -> Self:
        """It runs already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._child.__exit__(kind, error, trace)


class _Book:
    """What has been received."""

    def __init__(self, *, noting: bool) -> None:
        self.count = 0
        self.noting = noting
        self.first: dict[str, float] = {}

    def note(self, head: bytes) -> None:
        now = time.time()
        event_id = _header(head, b"webhook-id").decode()
        self.first.setdefault(event_id, now)


class _Answering(asyncio.Protocol):
    def __init__(self, book: _Book) -> None:
        self._book = book
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        start = answers = 0
        while (end := data.find(END, start)) >= 0:
            head = data[start:end]
            stop = end + len(END) + int(_header(head, b"Content-Length") or 0)
            if len(data) < stop:
                break
            if self._book.noting:
                self._book.note(head)
            start = stop
            answers += 1
        self._rest = data[start:]
        self._book.count += answers
        self._transport.write(ANSWER * answers)


class _Hanging(asyncio.Protocol):
    """Reads and never answers."""


def serve(*, noting: bool) -> None:
    """Be a receiver until the parent closes our input."""
    gc.disable()  # nothing here makes cycles, and a pause would be told as somebody's latency
    run(_serve(_Book(noting=noting)))


async def _serve(book: _Book) -> None:
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    good = await loop.create_server(lambda: _Answering(book), "127.0.0.1", 0, backlog=1024)
    bad = await loop.create_server(_Hanging, "127.0.0.1", 0, backlog=1024)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))  # held, never listened on: a connection is refused, and nobody else gets the port
        loop.add_reader(sys.stdin.fileno(), _hear, book, over)
        ports = {"port": good.sockets[0].getsockname()[1], "hanging_port": bad.sockets[0].getsockname()[1]}
        answer(ports | {"refusing_port": deaf.getsockname()[1]})
        await over.wait()


def _hear(book: _Book, over: asyncio.Event) -> None:
    line = os.read(sys.stdin.fileno(), 4096)
    if not line:
        over.set()
    elif json.loads(line)["tell"] == "stats":
        answer({"count": book.count, "cpu": cpu_seconds()})
    else:
        told: dict[str, Any] = book.first
        book.first = {}
        answer(told)


def _header(head: bytes, name: bytes) -> bytes:
    """A header's value, or nothing; spelled as given or in lower case, which is what HTTP clients send."""
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        start = head.find(b"\r\n" + name.lower() + b":")
    if start < 0:
        return b""
    end = head.find(b"\r\n", start + 2)
    return head[start + 3 + len(name) : end if end >= 0 else len(head)].strip()
