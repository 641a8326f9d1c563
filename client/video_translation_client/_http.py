"""Our requests as httpx's, and httpx's errors as ours: what both transports share.

Opening connections, and when a request is sent, is left to them.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import httpx

from video_translation_client._errors import ServerUnreachableError
from video_translation_client._exchange import Lost, Request
from video_translation_client._operations import FilePart
from video_translation_client._options import CONNECT_TIMEOUT
from video_translation_client._transfer import Fetch

KEEPALIVE: Final = 4.0
"""Below the 5 s after which servers commonly close an idle connection, so that no request meets a closing one."""
LONGEST_SILENCE: Final = 60.0
"""Seconds without a byte, in either direction, after which the peer of a file on its way is taken for dead."""


@functools.cache
def tls() -> ssl.SSLContext:
    """How we speak TLS, by httpx's own rules; one for all clients of a process: reading the roots takes some 30 ms."""
    return httpx.create_ssl_context()


@contextlib.contextmanager
def prepared(
    client: httpx.Client | httpx.AsyncClient, request: Request, silence: float | None = None
) -> Iterator[httpx.Request]:
    """Make httpx's request of ours, with its file open for as long as it is sent.

    Args:
        client: sends it.
        request: the try.
        silence: seconds that a read may take, instead of the timeout.

    Raises:
        ServerUnreachableError: the base URL is none.
        OSError: the file cannot be opened.
    """
    if request.file is None:
        yield _build(client, request, silence or request.timeout, json=request.body)
        return
    with request.file.path.open("rb") as file:
        name, media_type = request.file.path.name, request.file.media_type
        pause = min(request.timeout, LONGEST_SILENCE)
        made = _build(client, request, pause, files={"file": (name, file, media_type)})
        made.stream = _Outgoing(made.stream, request.file)
        yield made


def _build(client: httpx.Client | httpx.AsyncClient, request: Request, silence: float, **content: Any) -> httpx.Request:
    limit = httpx.Timeout(
        request.timeout,
        connect=min(request.timeout, CONNECT_TIMEOUT),
        read=silence,
        write=request.timeout if request.file is None else silence,
    )
    try:
        return client.build_request(
            request.method,
            request.url,
            params=dict(request.query) or None,
            headers=dict(request.headers),
            timeout=limit,
            **content,
        )
    except httpx.InvalidURL as error:
        raise ServerUnreachableError(f"{request.url} is no URL to send to: {error}") from error


class _Outgoing(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A form with a file in it: read as it is sent, in a thread where an event loop sends it."""

    def __init__(self, form: Any, part: FilePart) -> None:
        self._form = form
        self._part = part

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for piece in self._form:
            yield piece
            sent += len(piece)
            self._report(sent)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent, pieces = 0, iter(self._form)
        while piece := await asyncio.to_thread(next, pieces, b""):
            yield piece
            sent += len(piece)
            self._report(sent)

    def _report(self, sent: int) -> None:
        if self._part.progress is not None:
            self._part.progress(min(sent, self._part.size), self._part.size)


def bare(file: Fetch) -> httpx.Request:
    """Make the request for a file: without any header, cookie or credential of the client that sends it.

    Raises:
        ServerUnreachableError: the URL is none.
    """
    limit = httpx.Timeout(file.silence, connect=min(CONNECT_TIMEOUT, file.silence))
    try:
        return httpx.Request("GET", file.url, headers=dict(file.headers), extensions={"timeout": limit.as_dict()})
    except httpx.InvalidURL as error:
        raise ServerUnreachableError(f"the file's URL is none to ask at: {error}") from error


def lost(error: httpx.RequestError) -> Lost:
    """Say what httpx says about a try without an answer."""
    unsent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return Lost(reason(error), sent=not unsent)


def reason(error: Exception) -> str:
    """Name an error, with its own words where it has some."""
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name
