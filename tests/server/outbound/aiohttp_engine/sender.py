"""The sender on aiohttp: an independent reading of HTTP that the product's own engine is compared with."""

import asyncio
import contextlib
import functools
from collections.abc import Iterator, Mapping

import aiohttp
import structlog
from yarl import URL

from tests.server.outbound.aiohttp_engine import diagnosis
from tests.server.outbound.aiohttp_engine.connection import (
    Attempt,
    BlockedError,
    GuardedConnector,
    MarkingContext,
    current,
)
from video_translation_server.errors import InvalidError
from video_translation_server.model import Outcome
from video_translation_server.outbound import guard
from video_translation_server.outbound.dial import OpenSocket, plain_socket
from video_translation_server.outbound.guard import AddressPolicy
from video_translation_server.outbound.resolver import PoolResolver, Resolver
from video_translation_server.outbound.target import read_target
from video_translation_server.outbound.tls import tls_context

_log = structlog.get_logger(__name__)

# What aiohttp would add by itself: what goes out is the caller's headers and nothing of the engine's.
_NOT_ADDED = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
_KEPT_URLS = 4096


@functools.cache
def _tls(ca_file: str | None) -> MarkingContext:
    """Made once: reading the system's roots takes longer than a test."""
    return tls_context(ca_file, MarkingContext)


class AiohttpSender:
    """The sender on aiohttp, with its own resolver, guard and judgement of what happened.

    Args:
        policy: Which addresses may be called.
        connect_timeout: Seconds for TCP and TLS to one address.
        max_body: Bytes of an answer's body that are read before the connection is closed on it.
        keep_body: Bytes of it that are kept in the outcome.
        keepalive: Seconds that an idle connection is kept.
        ca_file: A PEM file of the roots to trust in place of the system's.
        resolver: Finds the addresses of names; None makes a `PoolResolver`. The sender closes it.
        open_socket: Makes the socket for (family, address, port) once the guard has passed the address.

    Raises:
        InvalidError: `ca_file` cannot be used.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        *,
        connect_timeout: float = 5.0,
        max_body: int = 16 * 1024,
        keep_body: int = 2 * 1024,
        keepalive: float = 4.0,
        ca_file: str | None = None,
        resolver: Resolver | None = None,
        open_socket: OpenSocket = plain_socket,
    ) -> None:
        self._policy = policy
        self._connect_timeout = connect_timeout
        self._max_body = max_body
        self._keep_body = keep_body
        self._keepalive = keepalive
        self._tls = _tls(ca_file)
        self._resolver = resolver if resolver is not None else PoolResolver()
        self._open_socket = open_socket
        self._closed = False
        self._place = functools.lru_cache(_KEPT_URLS)(self._judge)
        self._pooled: aiohttp.ClientSession | None = None
        self._fresh: aiohttp.ClientSession | None = None

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> asyncio.Future[Outcome]:
        """See `Sender.post`."""
        return asyncio.ensure_future(self._post(url, headers, body, deadline))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes, deadline: float) -> Outcome:
        if self._closed:
            raise RuntimeError("the sender is closed; make a new one")
        place = self._place(url)
        if isinstance(place, Outcome):
            return place
        wanted = {**headers, "Accept-Encoding": "identity"}
        with _attempt() as attempt:
            try:
                async with asyncio.timeout(deadline):
                    return await self._deliver(attempt, place, wanted, body)
            except TimeoutError:
                return diagnosis.expired(attempt, deadline)

    async def close(self) -> None:
        """See `Sender.close`."""
        self._closed = True
        for session in (self._pooled, self._fresh):
            if session is not None:
                await session.close()
        await self._resolver.close()

    def _judge(self, url: str) -> URL | Outcome:
        """Where the URL leads, or the refusal; cached, because neither it nor the policy changes."""
        try:
            target = read_target(url)
        except InvalidError as exc:
            return diagnosis.blocked(exc.message)
        reason = guard.blocked(target, self._policy)
        if reason is not None:
            return diagnosis.blocked(reason)
        # `encoded` keeps path and query byte for byte as they were registered.
        parsed = URL(url, encoded=url.isascii())
        # A literal goes in its canonical spelling; an international name keeps yarl's newer IDNA.
        return parsed.with_host(target.host) if target.address or url.isascii() else parsed

    async def _deliver(self, attempt: Attempt, url: URL, headers: dict[str, str], body: bytes) -> Outcome:
        """Send until something final happens: the next address, or once more on a new connection."""
        session = self._session(pooled=True)
        while True:
            attempt.begin()
            outcome = await self._exchange(session, attempt, url, headers, body)
            if diagnosis.tries_next_address(attempt, outcome):
                attempt.failures.append(f"{attempt.address}: {outcome.detail}")
            elif attempt.is_stale and not self._closed:
                # A session that reuses nothing: the pool may hold a second connection just as stale.
                session = self._session(pooled=False)
                _log.info("connection_resent", host=url.host, port=url.port, address=attempt.address)
            else:
                return outcome

    async def _exchange(
        self, session: aiohttp.ClientSession, attempt: Attempt, url: URL, headers: dict[str, str], body: bytes
    ) -> Outcome:
        """One request and its answer on one connection."""
        try:
            response = await session.post(url, data=body, headers=headers, allow_redirects=False)
            try:
                return await self._read(attempt, response)
            finally:
                # Closes what was not read to its end; a finished answer has freed its connection.
                response.close()
        except (BlockedError, aiohttp.ClientError) as exc:
            await _hear_the_reason(attempt)
            return diagnosis.failed(attempt, exc, self._connect_timeout)
        finally:
            if attempt.wire is not None:
                attempt.wire.rest(attempt)

    async def _read(self, attempt: Attempt, response: aiohttp.ClientResponse) -> Outcome:
        attempt.status = response.status
        attempt.retry_after = response.headers.get("Retry-After")
        left = self._max_body
        while left > 0:
            chunk = await response.content.read(left)
            if not chunk:
                return diagnosis.answered(attempt, "")
            left -= len(chunk)
            attempt.body += chunk[: max(0, self._keep_body - len(attempt.body))]
        ended = response.content.at_eof()
        return diagnosis.answered(attempt, "" if ended else f"the answer's body was cut at {self._max_body} bytes")

    def _session(self, *, pooled: bool) -> aiohttp.ClientSession:
        """One of the two sessions; made late, because aiohttp wants a running loop."""
        if pooled:
            self._pooled = self._pooled or self._open(self._keepalive)
            return self._pooled
        self._fresh = self._fresh or self._open(None)
        return self._fresh

    def _open(self, keepalive: float | None) -> aiohttp.ClientSession:
        connector = GuardedConnector(self._policy, self._resolver, self._tls, self._open_socket, keepalive=keepalive)
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._connect_timeout,
            # aiohttp rounds timeouts above this up to a whole second of the loop's clock.
            ceil_threshold=float("inf"),
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=_NOT_ADDED,
            # Flow control begins at twice this: an endless body is not read ahead of its cap for long.
            read_bufsize=self._max_body,
        )


async def _hear_the_reason(attempt: Attempt) -> None:
    """Let the loop run what it has queued.

    A write that fails on a closing connection is told first; why the connection closed (a TLS alert)
    comes a few callbacks later.
    """
    for _ in range(3):
        if attempt.wire is None or attempt.wire.lost is not None:
            return
        await asyncio.sleep(0)


@contextlib.contextmanager
def _attempt() -> Iterator[Attempt]:
    """A new attempt, known to the connection's parts in this task for as long as it runs."""
    attempt = Attempt()
    token = current.set(attempt)
    try:
        yield attempt
    finally:
        current.reset(token)
