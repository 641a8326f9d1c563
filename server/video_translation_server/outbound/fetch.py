"""Fetches a file from a URL that a caller has named: by the same guard as everything that is sent.

1. The URL is read and judged; its name resolved; every address judged again when it is dialled (`dial`).
2. A redirect is followed by beginning again at 1, a few times, and never from https to http.
3. One deadline holds for all of it, and one number of bytes for the file.

What is in the file is none of its business.
"""

import asyncio
import functools
import ssl
import urllib.parse
from typing import BinaryIO

from video_translation_server import __version__
from video_translation_server.errors import InvalidError
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound import guard
from video_translation_server.outbound.dial import Dialler, OpenSocket, plain_socket
from video_translation_server.outbound.download import OK, Download
from video_translation_server.outbound.exchange import Exchange
from video_translation_server.outbound.guard import AddressPolicy
from video_translation_server.outbound.memory import Memory
from video_translation_server.outbound.request import Place, place_of
from video_translation_server.outbound.resolver import PoolResolver, Resolver
from video_translation_server.outbound.target import read_target
from video_translation_server.outbound.tls import tls_context
from video_translation_server.outbound.wire import Wire

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST_REDIRECTS = 3
HEADERS = f"User-Agent: video-translation-server/{__version__}\r\nAccept: */*\r\nConnection: close\r\n\r\n".encode()
LONGEST_REASON = 300
"""Characters; a reason is shown in the job's events."""


class Fetcher:
    """Gets files.

    Args:
        policy: Which addresses may be called.
        max_bytes: Of a file; a larger one is not fetched.
        connect_timeout: Seconds for TCP and TLS to one address.
        ca_file: A PEM file of roots to trust beside the system's.
        resolver: Finds the addresses of names; None makes a `PoolResolver`. The fetcher closes it.
        open_socket: Makes the socket for (family, address, port) once the guard has passed the address.

    Raises:
        InvalidError: `ca_file` cannot be used.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        max_bytes: int,
        connect_timeout: float = 5.0,
        ca_file: str | None = None,
        resolver: Resolver | None = None,
        open_socket: OpenSocket = plain_socket,
    ) -> None:
        self._policy = policy
        self._max_bytes = max_bytes
        self._connect_timeout = connect_timeout
        self._tls = functools.cache(functools.partial(tls_context, ca_file, ssl.SSLContext))
        if ca_file is not None:
            self._tls()  # a file that cannot be used is told now
        self._resolver = resolver if resolver is not None else PoolResolver(threads=2)
        self._open_socket = open_socket

    async def fetch(self, url: str, target: BinaryIO, *, deadline: float) -> str | None:
        """Write what is at the URL to `target`; None, or why that cannot be.

        Args:
            url: As a caller has given it.
            target: A file that is open for writing; after a refusal it may hold the beginning.
            deadline: Seconds for all of it, redirects included.
        """
        when = asyncio.get_running_loop().time() + deadline
        for _ in range(MOST_REDIRECTS + 1):
            found = await self._get(url, target, when=when, deadline=deadline)
            if not isinstance(found, _Redirect):
                return None if found is None else found[:LONGEST_REASON]
            url = found.url
        return f"it redirects more than {MOST_REDIRECTS} times"

    async def close(self) -> None:
        """Give up lookups that have not begun."""
        await self._resolver.close()

    async def _get(self, url: str, target: BinaryIO, *, when: float, deadline: float) -> "_Redirect | str | None":
        """One request."""
        place = self._judge(url)
        if isinstance(place, str):
            return place
        outcome, download = await self._exchange(place, target, when=when, deadline=deadline)
        if outcome.kind is not OutcomeKind.STATUS or download is None:
            return outcome.detail
        if outcome.status in REDIRECTS and download.location is not None:
            return _redirect(url, download.location)
        if outcome.status != OK:
            return f"it answers {outcome.status}"
        if download.failure is not None:
            return f"the server cannot keep it: {download.failure}"
        return f"it has more than {self._max_bytes} bytes" if download.cut else None

    def _judge(self, url: str) -> Place | str:
        """Where the URL leads, or why nobody goes there."""
        url = urllib.parse.urldefrag(url).url
        try:
            target = read_target(url)
        except InvalidError as error:
            return error.message
        return guard.blocked(target, self._policy) or place_of(url, target, "GET")

    async def _exchange(
        self, place: Place, target: BinaryIO, *, when: float, deadline: float
    ) -> tuple[Outcome, Download | None]:
        downloads: list[Download] = []

        def wire(place: Place, address: str) -> Wire:
            downloads.append(Download(target, self._max_bytes))
            return Wire(
                asyncio.get_running_loop(),
                _OneUse(),
                origin=place.origin,
                address=address,
                answer=downloads[-1],
                max_body=self._max_bytes,
                memory=Memory(),
            )

        dialler = Dialler(
            self._policy, self._resolver, self._tls, self._open_socket, wire, connect_timeout=self._connect_timeout
        )
        dialled = await dialler.dial(place, when=when, deadline=deadline)
        if dialled.wire is None:
            assert dialled.outcome is not None  # noqa: S101  (one of the two is there)
            return dialled.outcome, None
        exchange = Exchange(asyncio.get_running_loop(), place, place.head + HEADERS, when=when, deadline=deadline)
        dialled.wire.send(exchange)
        return dialled.with_failures(await exchange), downloads[-1]


class _Redirect:
    """Where to go on."""

    __slots__ = ("url",)

    def __init__(self, url: str) -> None:
        self.url = url


def _redirect(url: str, location: str) -> _Redirect | str:
    try:
        following = urllib.parse.urljoin(url, location)
        schemes = urllib.parse.urlsplit(url).scheme, urllib.parse.urlsplit(following).scheme
    except ValueError:
        return "it redirects to what is no URL"
    if schemes == ("https", "http"):
        return "it redirects from https to http"
    return _Redirect(following)


class _OneUse:
    """Keeps no connection: each carries one request."""

    def joined(self, wire: Wire) -> None:
        """See `Keeper.joined`."""

    def rested(self, wire: Wire) -> None:
        """Nothing more will be asked of it."""
        wire.shut()

    def left(self, wire: Wire, *, gone: bool) -> None:
        """See `Keeper.left`."""
