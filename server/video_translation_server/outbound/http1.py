"""Our own HTTP/1.1 sender: one protocol object and one timer per connection, one future per request.

It puts the parts together: `request` (bytes), `dial` (connections), `pool`, `wire` and `answer`.
"""

import asyncio
import functools
from collections.abc import Mapping

import structlog

from video_translation_server.errors import InvalidError
from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound import guard
from video_translation_server.outbound.answer import Answer
from video_translation_server.outbound.dial import Dialler, OpenSocket, blocked, plain_socket
from video_translation_server.outbound.exchange import Exchange, Repeat
from video_translation_server.outbound.guard import AddressPolicy
from video_translation_server.outbound.memory import Memory
from video_translation_server.outbound.pool import Pool
from video_translation_server.outbound.request import Place, place_of, request_bytes
from video_translation_server.outbound.resolver import PoolResolver, Resolver
from video_translation_server.outbound.target import read_target
from video_translation_server.outbound.tls import ResumingContext, tls_context
from video_translation_server.outbound.wire import Wire

_log = structlog.get_logger(__name__)

_KEPT_URLS = 4096


class Http1Sender:
    """The sender, from the URL down to the socket; made in the event loop that it is used in.

    Args:
        policy: Which addresses may be called.
        connect_timeout: Seconds for TCP and TLS to one address.
        max_body: Bytes of an answer's body that are read before the connection is closed on it.
        keep_body: Bytes of it that are kept in the outcome.
        keepalive: Seconds that an idle connection is kept.
        ca_file: A PEM file of roots to trust beside the system's.
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
        self._loop = asyncio.get_running_loop()
        self._policy = policy
        self._max_body = max_body
        self._keep_body = keep_body
        # Reading the system's roots is most of a server's start, and most tests call no https: made when first needed.
        self._tls = functools.cache(functools.partial(tls_context, ca_file, ResumingContext))
        if ca_file is not None:
            self._tls()  # a file that cannot be used is told now
        self._resolver = resolver if resolver is not None else PoolResolver()
        self._memory = Memory()
        self._pool = Pool(keepalive)
        self._dialler = Dialler(
            policy, self._resolver, self._tls, open_socket, self._wire, connect_timeout=connect_timeout
        )
        self._closed = False
        self._place = functools.lru_cache(_KEPT_URLS)(self._judge)

    def post(self, url: str, headers: Mapping[str, str], body: bytes, *, deadline: float) -> asyncio.Future[Outcome]:
        """See `Sender.post`."""
        if self._closed:
            raise RuntimeError("the sender is closed; make a new one")
        place = self._place(url)
        if isinstance(place, Outcome):
            refused: asyncio.Future[Outcome] = self._loop.create_future()
            refused.set_result(place)
            return refused
        now = self._loop.time()
        exchange = Exchange(
            self._loop, place, request_bytes(place, headers, body), now + deadline, deadline, self._again
        )
        wire = self._pool.take(place.origin, now)
        if wire is None:
            Repeat(self._loop.create_task(self._afresh(exchange)), exchange)
        else:
            wire.send(exchange)
        return exchange

    async def close(self) -> None:
        """See `Sender.close`."""
        self._closed = True
        self._dialler.close()
        await self._resolver.close()
        await self._pool.close()

    def _judge(self, url: str) -> Place | Outcome:
        """Where the URL leads, or the refusal; cached, because neither it nor the policy changes."""
        try:
            target = read_target(url)
        except InvalidError as exc:
            return blocked(exc.message)
        reason = guard.blocked(target, self._policy)
        if reason is not None:
            return blocked(reason)
        return place_of(url, target)

    def _again(self, exchange: Exchange, address: str) -> None:
        """Send once more: the kept connection was closed. Not on another kept one, which may be just as stale."""
        if self._closed:
            exchange.set_result(_reset(address))
            return
        place = exchange.place
        _log.info("connection_resent", host=place.host, port=place.port, address=address)
        Repeat(self._loop.create_task(self._afresh(exchange)), exchange)

    async def _afresh(self, exchange: Exchange) -> Outcome:
        """Send on a new connection, and wait for the outcome."""
        place = exchange.place
        dialled = await self._dialler.dial(place, when=exchange.when, deadline=exchange.deadline)
        wire = dialled.wire
        if wire is None:
            assert dialled.outcome is not None  # noqa: S101 - one of the two is there
            return dialled.outcome
        if self._closed:
            wire.abort()
            return _reset(wire.address)
        fresh = Exchange(self._loop, place, exchange.request, when=exchange.when, deadline=exchange.deadline)
        wire.send(fresh)
        outcome = await fresh
        if place.server_name is not None:
            self._tls().keep(place.server_name, wire.tls_session())
        return dialled.with_failures(outcome)

    def _wire(self, place: Place, address: str) -> Wire:
        return Wire(
            self._loop,
            self._pool,
            origin=place.origin,
            address=address,
            answer=Answer(self._max_body, self._keep_body),
            max_body=self._max_body,
            memory=self._memory,
        )


def _reset(address: str) -> Outcome:
    return Outcome(
        kind=OutcomeKind.RESET, detail="the connection was closed before any byte of the answer", address=address
    )
