"""From a place to a connection: resolve, check every address, connect to what was checked, TLS.

The only place that connects. What is sent there is `http1`'s part.
"""

import asyncio
import dataclasses
import errno
import socket
import ssl
from collections.abc import Callable, Sequence

import msgspec

from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound.guard import AddressPolicy
from video_translation_server.outbound.request import Place
from video_translation_server.outbound.resolver import Resolver
from video_translation_server.outbound.wire import Wire, words

OpenSocket = Callable[[int, str, int], socket.socket]
MakeWire = Callable[[Place, str], Wire]

_MAX_DETAIL = 300
_CLOSED = "the sender was closed before the connection was made"
_GOODBYE = 1.0  # seconds for the other side to answer the end of TLS


def plain_socket(family: int, address: str, port: int) -> socket.socket:
    """A TCP socket; the event loop connects it to the address and port."""
    del address, port
    return socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)


@dataclasses.dataclass(slots=True)
class Dialled:
    """What connecting came to.

    Attributes:
        wire: The connection, or None.
        outcome: Why there is none, or None.
        failures: What became of the addresses that were tried before.
    """

    wire: Wire | None = None
    outcome: Outcome | None = None
    failures: list[str] = dataclasses.field(default_factory=list)

    def with_failures(self, outcome: Outcome) -> Outcome:
        """An outcome whose detail also tells of the addresses before."""
        detail = outcome.detail
        if outcome.kind is not OutcomeKind.STATUS:
            detail = "; ".join([detail, *self.failures])[:_MAX_DETAIL]
        return outcome if detail == outcome.detail else msgspec.structs.replace(outcome, detail=detail)


class Dialler:
    """Connects to places, and only to addresses that the policy has passed.

    Args:
        policy: The guard.
        resolver: Finds the addresses of names.
        tls: Makes the context for https, asked at each connect.
        open_socket: Makes the socket for (family, address, port): the last step before the dial.
        make_wire: Makes the protocol for a connection to an address.
        connect_timeout: Seconds for TCP and TLS to one address.
    """

    def __init__(
        self,
        policy: AddressPolicy,
        resolver: Resolver,
        tls: Callable[[], ssl.SSLContext],
        open_socket: OpenSocket,
        make_wire: MakeWire,
        *,
        connect_timeout: float,
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._tls = tls
        self._open_socket = open_socket
        self._make_wire = make_wire
        self._connect_timeout = connect_timeout
        self._running: set[asyncio.Timeout] = set()
        self._closed = False

    async def dial(self, place: Place, *, when: float, deadline: float) -> Dialled:
        """Connect to the first address that can be, in order.

        Args:
            place: Where to.
            when: The loop's time at which the attempt ends.
            deadline: The seconds that `when` came from, for the words about it.
        """
        dialled = Dialled()
        addresses = await self._addresses(place, when, deadline)
        if isinstance(addresses, Outcome):
            dialled.outcome = addresses
            return dialled
        loop = asyncio.get_running_loop()
        for address in addresses:
            if dialled.outcome is not None:
                dialled.failures.append(f"{dialled.outcome.address}: {dialled.outcome.detail}")
            reached = await self._reach(place, address, when=when, deadline=deadline)
            if isinstance(reached, Wire):
                dialled.wire, dialled.outcome = reached, None
                return dialled
            dialled.outcome = reached
            if reached.kind is OutcomeKind.BLOCKED or self._closed or loop.time() >= when:
                break
        if dialled.outcome is not None:
            dialled.outcome = dialled.with_failures(dialled.outcome)
        return dialled

    def close(self) -> None:
        """End what is being connected; it comes to `reset`."""
        self._closed = True
        for scope in self._running:
            if not scope.expired():  # nor left: `_reach` takes it out in the same step
                scope.reschedule(0)

    async def _addresses(self, place: Place, when: float, deadline: float) -> Sequence[str] | Outcome:
        """The addresses of a place, every one of them checked, or why there is none to dial."""
        if place.address is not None:
            return (place.address,)
        try:
            async with asyncio.timeout_at(when) as scope:
                addresses = await self._resolver.resolve(place.host)
        except OSError as exc:
            why = f" within the attempt's {deadline:g} s" if scope.expired() else f": {words(exc)}"
            return Outcome(kind=OutcomeKind.DNS, detail=f"the name was not resolved{why}"[:_MAX_DETAIL])
        for address in addresses:
            reason = self._policy.refusal(address)
            if reason is not None:
                return blocked(f"{place.host} resolves to a forbidden address: {reason}")
        if not addresses:
            return Outcome(
                kind=OutcomeKind.DNS, detail=f"the name was not resolved: {place.host} has no address"[:_MAX_DETAIL]
            )
        return addresses

    async def _reach(self, place: Place, address: str, *, when: float, deadline: float) -> Wire | Outcome:
        """Connect to one address."""
        if self._closed:  # an attempt that had not begun when the sender was closed
            return Outcome(kind=OutcomeKind.RESET, detail=_CLOSED, address=address)
        reason = self._policy.refusal(address)
        if reason is not None:
            return blocked(reason)
        loop = asyncio.get_running_loop()
        limit = min(loop.time() + self._connect_timeout, when)
        phase = OutcomeKind.CONNECT_FAILED
        scope = asyncio.timeout_at(limit)
        try:
            async with scope:
                self._running.add(scope)
                sock = await self._connected(address, place.port)
                phase = OutcomeKind.TLS if place.server_name is not None else phase
                return await self._spoken_to(sock, place, address, limit - loop.time())
        except (OSError, ValueError) as exc:
            if scope.expired():
                within = (
                    f"within the attempt's {deadline:g} s" if limit == when else f"within {self._connect_timeout:g} s"
                )
                kind, detail = self._expired(phase, within)
            else:
                kind, detail = _in_tls(exc) if phase is OutcomeKind.TLS else _in_tcp(exc)
            return Outcome(kind=kind, detail=detail, address=address)
        finally:
            self._running.discard(scope)

    async def _connected(self, address: str, port: int) -> socket.socket:
        """A socket that TCP has connected."""
        # The address is numeric, as the policy has seen it: nothing is looked up here.
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        family, _, _, _, place = found[0]
        sock = self._open_socket(family, address, port)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (str(place[0]).partition("%")[0], *place[1:]))
        except BaseException:
            sock.close()
            raise
        return sock

    async def _spoken_to(self, sock: socket.socket, place: Place, address: str, left: float) -> Wire:
        """The connection on a connected socket, with TLS where the place wants it."""
        loop = asyncio.get_running_loop()
        if place.server_name is None:
            return (await loop.create_connection(lambda: self._make_wire(place, address), sock=sock))[1]
        _, wire = await loop.create_connection(
            lambda: self._make_wire(place, address),
            sock=sock,
            ssl=self._tls(),
            server_hostname=place.server_name,
            # Ours comes first.
            ssl_handshake_timeout=max(left, 0) + 60,
            ssl_shutdown_timeout=_GOODBYE,
        )
        return wire

    def _expired(self, phase: OutcomeKind, within: str) -> tuple[OutcomeKind, str]:
        if self._closed:
            return OutcomeKind.RESET, _CLOSED
        if phase is OutcomeKind.TLS:
            return phase, f"the TLS handshake did not end {within}"
        return OutcomeKind.CONNECT_TIMEOUT, f"no connection {within}"


def blocked(reason: str) -> Outcome:
    """The outcome of an attempt that the guard ended before anything was dialled."""
    return Outcome(kind=OutcomeKind.BLOCKED, detail=reason[:_MAX_DETAIL])


def _in_tcp(error: Exception) -> tuple[OutcomeKind, str]:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ECONNREFUSED:
        return OutcomeKind.REFUSED, "the connection was refused"
    if number == errno.ETIMEDOUT:
        return OutcomeKind.CONNECT_TIMEOUT, "the system gave up connecting"
    return OutcomeKind.CONNECT_FAILED, f"no connection: {words(error)}"


def _in_tls(error: Exception) -> tuple[OutcomeKind, str]:
    if isinstance(error, ssl.SSLCertVerificationError):
        return OutcomeKind.TLS, f"certificate refused: {error.verify_message}"
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return OutcomeKind.TLS, f"TLS failed: {words(error)}"
    return OutcomeKind.TLS, "the connection was closed during the TLS handshake"
