"""The HTTP connection of uvicorn with two limits that it lacks: on a head, and on the time a request takes to come.

Answering is left to uvicorn and the application; a server in front of an embedded receiver has limits of its own.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from video_translation_client._receiver import MAX_HEADERS

READING_DEADLINE: Final = 10.0
"""Seconds from a request's first byte (or the connection's beginning) to its last: honest senders need one."""
_MAX_HEAD: Final = 2 * MAX_HEADERS
"""Bytes of a head as it comes, with the URL and what separates; the headers alone are the receiver's to judge."""


class Connection(HttpToolsProtocol):
    """One connection. A sender that drips is cut off, whether it drips headers or body."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._watch: asyncio.TimerHandle | None = None
        self._due: float | None = None
        self._in_head = True
        self._head_size = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to count: a connection on which nothing comes is as bad as one on which little comes."""
        super().connection_made(transport)
        self._begin_watching()

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether it is too much."""
        self._begin_watching()
        self._head_size += len(data)
        super().data_received(data)
        if self._in_head and self._head_size > _MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Let the application begin; from here on only the time counts, and the application's own limit."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock until the next request."""
        super().on_message_complete()
        self._in_head, self._head_size = True, 0
        self._due = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock for good."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super().connection_lost(exc)

    def _begin_watching(self) -> None:
        if self._due is None:
            self._due = self.loop.time() + READING_DEADLINE
            # The timer of an earlier request is left to run: setting one costs more than most requests take.
            if self._watch is None:
                self._watch = self.loop.call_at(self._due, self._look)

    def _look(self) -> None:
        """The timer's time has come: of the request that is being read, or of an earlier one."""
        self._watch = None
        if self._due is None:
            return
        if self._due > self.loop.time():
            self._watch = self.loop.call_at(self._due, self._look)
        else:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

    def _refuse(self, status: HTTPStatus) -> None:
        if self.transport.is_closing():
            return
        answer = f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        self.transport.write(answer.encode("ascii"))
        self.transport.close()
