"""How aiohttp reaches the network: resolver, socket factory, TLS and protocol, each behind the guard.

It decides who is dialled and notes how far an attempt got; what that comes to is `diagnosis`'s part.
"""

import asyncio
import collections
import contextvars
import dataclasses
import enum
import functools
import socket
import ssl
from typing import Any, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

from video_translation_server.outbound.dial import OpenSocket
from video_translation_server.outbound.guard import AddressPolicy
from video_translation_server.outbound.resolver import Resolver


class BlockedError(Exception):
    """The guard refused an address; the message is the reason.

    No OSError on purpose: aiohttp would take that for a failed connect and try the next address.
    """


class Phase(enum.Enum):
    """How far one request got on its way."""

    START = enum.auto()
    RESOLVE = enum.auto()
    CONNECT = enum.auto()
    TLS = enum.auto()
    SENT = enum.auto()


@dataclasses.dataclass(slots=True)
class Attempt:
    """What is known of one POST while it runs; the parts below write it, `diagnosis` reads it.

    Attributes:
        waiting: Resolved and checked addresses that have not been dialled yet.
        address: The address that was dialled last, or that the connection in use leads to.
        failures: What became of the addresses that were tried before.
        wire: The connection that carries the request, once it does.
        status: Set with the next two as soon as the answer's headers have arrived.
    """

    phase: Phase = Phase.START
    waiting: collections.deque[str] = dataclasses.field(default_factory=collections.deque)
    address: str | None = None
    failures: list[str] = dataclasses.field(default_factory=list)
    wire: "Wire | None" = None
    status: int | None = None
    retry_after: str | None = None
    body: bytearray = dataclasses.field(default_factory=bytearray)

    def begin(self) -> None:
        """Forget the request before this one (a refused address, a stale connection)."""
        self.phase, self.wire, self.address = Phase.START, None, None

    @property
    def is_stale(self) -> bool:
        """Whether the request went out on a reused connection and not a byte of an answer came."""
        return self.wire is not None and self.wire.requests > 1 and not self.wire.answered


# aiohttp passes nothing of ours down to its connector; the task's context does.
current: contextvars.ContextVar[Attempt] = contextvars.ContextVar("attempt")


class Wire(ResponseHandler):
    """One connection, which knows whose request it carries and what has come back.

    Attributes:
        requests: How many requests it has carried, this one included.
        answered: Whether any byte of the answer to this one has come.
        malformed: What made the answer no valid HTTP.
        lost: The error that ended the connection; aiohttp's own copy of it does not outlive `close`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.requests = 0
        self.answered = False
        self.malformed: HttpProcessingError | None = None
        self.lost: BaseException | None = None
        self._peer: str | None = None
        self._owner: Attempt | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the address at the other end."""
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if peer else None

    def set_response_params(self, **params: Any) -> None:
        """Begin a request: aiohttp calls this in the sending task as soon as it has the connection."""
        attempt = current.get()
        attempt.phase, attempt.wire, attempt.address = Phase.SENT, self, self._peer
        self._owner = attempt
        self.requests += 1
        self.answered = False
        super().set_response_params(**params)

    def rest(self, attempt: Attempt) -> None:
        """End the attempt's request, unless the connection has already passed to another one."""
        if self._owner is attempt:
            self._owner = None

    @property
    def should_close(self) -> bool:
        """Also where the answer came before the request was all sent: the rest would delay the next one."""
        return self._has_unsent() or super().should_close

    def close(self) -> None:
        """Close, and at once: a peer that does not read would keep the socket until its bytes are gone."""
        if self._has_unsent():
            self.abort()
        else:
            super().close()

    def _has_unsent(self) -> bool:
        return self.transport is not None and self.transport.get_write_buffer_size() > 0

    def connection_lost(self, exc: BaseException | None) -> None:
        """Keep the reason."""
        self.lost = exc
        super().connection_lost(exc)

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Keep what is no valid HTTP, and tell whoever reads the body: aiohttp lets them wait for ever."""
        if isinstance(exc, HttpProcessingError):
            self.malformed = exc
            if self._payload is not None and not self._payload.is_eof():
                self._payload.set_exception(aiohttp.ClientPayloadError(exc.message))
        super().set_exception(exc, *cause)

    def data_received(self, data: bytes) -> None:
        """Take bytes of an answer; an answer that nobody asked for must not meet the next request."""
        if self._owner is None and self.requests:
            self.abort()
            return
        self.answered = self.answered or bool(data)
        super().data_received(data)


class GuardedConnector(aiohttp.TCPConnector):
    """A connector that dials only what the policy has passed, one address per request to connect.

    Args:
        policy: The guard.
        names: Finds the addresses of names.
        tls: The context for https.
        open_socket: Makes the socket for (family, address, port): the last step before the dial.
        keepalive: How long an idle connection is kept, seconds; None keeps none at all.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        names: Resolver,
        tls: ssl.SSLContext,
        open_socket: OpenSocket,
        *,
        keepalive: float | None,
    ) -> None:
        pooling: dict[str, Any] = {"force_close": True}
        if keepalive is not None:
            pooling = {"keepalive_timeout": keepalive}
        super().__init__(
            resolver=_GuardedResolver(policy, names),
            # aiohttp's cache would answer past the guard, and would hand over all addresses at once.
            use_dns_cache=False,
            happy_eyeballs_delay=None,
            limit=0,
            ssl=tls,
            socket_factory=functools.partial(_last_door, policy, open_socket),
            **pooling,
        )
        # Not public, and without an equal: nothing else tells whether any byte has come back.
        self._factory = cast("functools.partial[ResponseHandler]", functools.partial(Wire, loop=self._loop))


class _GuardedResolver(AbstractResolver):
    """Hands aiohttp one checked address at a time.

    Given several, aiohttp would dial those that refused again after the next one fails in TLS, and
    would spend one connect timeout on each without telling which ones it tried.
    """

    def __init__(self, policy: AddressPolicy, names: Resolver) -> None:
        self._policy = policy
        self._names = names

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The next address of the attempt that runs in this task.

        Raises:
            BlockedError: Any address of the name is forbidden.
            OSError: The name has no address.
        """
        del family  # both, always
        attempt = current.get()
        if not attempt.waiting:
            attempt.phase = Phase.RESOLVE
            addresses = await self._names.resolve(host)
            for address in addresses:
                reason = self._policy.refusal(address)
                if reason is not None:
                    raise BlockedError(f"{host} resolves to a forbidden address: {reason}")
            attempt.waiting.extend(addresses)
        if not attempt.waiting:
            raise OSError(f"{host} has no address")
        address = attempt.waiting.popleft()
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
        ]

    async def close(self) -> None:
        """Nothing: the names belong to the sender."""


def _last_door(policy: AddressPolicy, open_socket: OpenSocket, info: aiohttp.AddrInfoType) -> socket.socket:
    """The socket for one connect, literals too, unless the final address is forbidden."""
    family, address, port = info[0], str(info[4][0]), int(info[4][1])
    reason = policy.refusal(address)
    if reason is not None:
        raise BlockedError(reason)
    attempt = current.get()
    attempt.phase, attempt.address = Phase.CONNECT, address
    return open_socket(family, address, port)


class MarkingContext(ssl.SSLContext):
    """Notes that TCP has connected and TLS begins: aiohttp's timeouts and resets do not tell."""

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """As the base class."""
        attempt = current.get(None)
        if attempt is not None:
            attempt.phase = Phase.TLS
        return super().wrap_bio(*args, **options)
