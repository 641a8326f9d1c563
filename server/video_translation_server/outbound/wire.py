"""One connection: writes a request, reads its answer, and says as an `Outcome` what became of it.

It is connected already, to an address that the guard has passed; `pool` keeps it between requests.
"""

import asyncio
import ssl
from typing import Protocol, cast

from video_translation_server.model import Outcome, OutcomeKind
from video_translation_server.outbound.answer import Answer
from video_translation_server.outbound.exchange import Exchange
from video_translation_server.outbound.memory import Memory
from video_translation_server.outbound.request import Origin


class Keeper(Protocol):
    """Whoever keeps connections while they carry nothing."""

    def joined(self, wire: "Wire") -> None:
        """The connection is up."""

    def rested(self, wire: "Wire") -> None:
        """The connection has carried a request and may carry another."""

    def left(self, wire: "Wire", *, gone: bool) -> None:
        """The connection will carry no further request; `gone` once it is closed."""


class Wire(asyncio.Protocol):
    """One connection, which carries one request at a time.

    Args:
        loop: The loop that drives it.
        keeper: Told when it is free and when it is gone.
        origin: What it is connected to, by name.
        address: What it is connected to, by address.
        answer: Reads its answers.
        max_body: Bytes after which `answer` cuts a body; for the words about it.
        memory: Shared by connections whose answers are read within the same limits.

    Attributes:
        idle_since: The loop's time when its last request ended.
    """

    __slots__ = (
        "_answer",
        "_exchange",
        "_fires",
        "_gone",
        "_keeper",
        "_loop",
        "_max_body",
        "_memory",
        "_requests",
        "_spoke_first",
        "_timer",
        "_transport",
        "address",
        "idle_since",
        "origin",
    )

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        keeper: Keeper,
        *,
        origin: Origin,
        address: str,
        answer: Answer,
        max_body: int,
        memory: Memory,
    ) -> None:
        self._loop = loop
        self._keeper = keeper
        self.origin = origin
        self.address = address
        self._answer = answer
        self._max_body = max_body
        self._memory = memory
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._fires = 0.0
        self._requests = 0
        self._gone = self._spoke_first = False
        self.idle_since = 0.0

    def send(self, exchange: Exchange) -> None:
        """Write the request; the exchange learns what becomes of it."""
        self._exchange = exchange
        exchange.carrier = self
        self._requests += 1
        if self._answer.received:
            self._answer.begin()
        if self._spoke_first:
            self._fail(OutcomeKind.PROTOCOL, "the answer is not valid HTTP: it came before the request")
        elif self._gone or self._transport is None:
            self._broken(None)
        else:
            # A timer of an earlier request is left to run: setting one costs more than most requests need.
            if self._timer is None or exchange.when < self._fires:
                self._set_timer(exchange.when)
            self._transport.write(exchange.request)

    def give_up(self, exchange: Exchange) -> None:
        """See `Carrier.give_up`."""
        if self._exchange is exchange:
            self._exchange = None
            self.abort()

    def shut(self) -> None:
        """Close: at once if a request runs, which ends as `reset`; else as TLS wants it."""
        if self._exchange is not None:
            self._broken(None)
            self.abort()
        else:
            self._close()

    def abort(self) -> None:
        """Close at once, whatever is unsent."""
        self._keeper.left(self, gone=False)
        if self._transport is not None:
            self._transport.abort()

    def tls_session(self) -> ssl.SSLSession | None:
        """What a later connection to the same name can resume; the first answer brings it (TLS 1.3)."""
        if self._transport is None:
            return None
        tls = self._transport.get_extra_info("ssl_object")
        return None if tls is None else cast("ssl.SSLSession | None", tls.session)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._keeper.joined(self)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer; those that nobody asked for must not meet the next request."""
        if self._exchange is None:
            self._spoke_first = self._requests == 0
            self.abort()
        elif not self._answer.received and (known := self._memory.get((self.address, data))) is not None:
            self._end(known)
            self._rest()
        elif self._answer.feed(data):
            self._settle()

    def eof_received(self) -> None:
        """The other side sends no more; the transport closes itself after this, once all is sent."""
        if self._exchange is None:
            self._keeper.left(self, gone=False)
        elif self._answer.eof():
            self._settle()
        else:
            self._broken(None)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end, and its reason."""
        self._gone = True
        if self._exchange is not None:
            # Without TLS's own goodbye, too, an answer that ends with the connection has ended.
            if isinstance(exc, ssl.SSLEOFError) and self._answer.eof():
                self._settle()
            else:
                self._broken(exc)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._keeper.left(self, gone=True)
        self._answer.release()
        self._transport = None

    def _settle(self) -> None:
        """The answer has been read as far as it is wanted."""
        answer = self._answer
        if answer.fault is not None:
            self._fail(OutcomeKind.PROTOCOL, f"the answer is not valid HTTP: {answer.fault}")
            return
        cut = answer.cut and not answer.ended
        detail = f"the answer's body was cut at {self._max_body} bytes" if cut else ""
        outcome = self._outcome(OutcomeKind.STATUS, detail)
        self._end(outcome)
        if not answer.ended:
            self.abort()
        elif not answer.reusable:
            self._close()
        else:
            if answer.whole is not None:
                self._memory.keep(self.address, answer.whole, outcome)
            self._rest()

    def _rest(self) -> None:
        """Carry nothing until the next request comes, where this one is sent to its end: its rest would delay that."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size():
            self._close()
        else:
            self.idle_since = self._loop.time()
            self._keeper.rested(self)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._fires = when
        self._timer = self._loop.call_at(self._fires, self._ring)

    def _ring(self) -> None:
        """The timer's time has come: the request's that runs now, or an earlier one's."""
        self._timer = None
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.when > self._fires:
            self._set_timer(exchange.when)
        else:
            self._expire(exchange.deadline)

    def _expire(self, deadline: float) -> None:
        """The deadline has passed."""
        within = f"within the attempt's {deadline:g} s"
        answer = self._answer
        if answer.status is not None:
            self._fail(OutcomeKind.SLOW_BODY, f"the answer's body did not end {within}")
        elif answer.received:
            self._fail(OutcomeKind.READ_TIMEOUT, f"only a part of the answer's headers came {within}")
        else:
            self._fail(OutcomeKind.READ_TIMEOUT, f"no answer came {within}")

    def _broken(self, exc: Exception | None) -> None:
        """The connection ended before the answer did."""
        answer = self._answer
        exchange = self._exchange
        if self._requests > 1 and not answer.received and exchange is not None and exchange.stale is not None:
            self._exchange = exchange.carrier = None
            if not exchange.done():
                exchange.stale(exchange, self.address)
        elif isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError):
            # With TLS 1.3 the server may refuse our side after the handshake has ended for us.
            self._end(self._outcome(OutcomeKind.TLS, f"TLS failed: {words(exc)}"))
        else:
            where = "before any byte of the answer"
            if answer.received:
                where = f"in the middle of the answer's {'headers' if answer.status is None else 'body'}"
            self._end(self._outcome(OutcomeKind.RESET, f"the connection was closed {where}"))

    def _fail(self, kind: OutcomeKind, detail: str) -> None:
        self._end(self._outcome(kind, detail))
        self.abort()

    def _outcome(self, kind: OutcomeKind, detail: str) -> Outcome:
        answer = self._answer
        return Outcome(
            kind=kind,
            status=answer.status,
            detail=detail,
            retry_after=answer.retry_after if answer.status is not None else None,
            body=answer.body,
            address=self.address,
        )

    def _end(self, outcome: Outcome) -> None:
        exchange = self._exchange
        self._exchange = None
        if exchange is not None and not exchange.done():
            exchange.carrier = None
            exchange.set_result(outcome)

    def _close(self) -> None:
        """Close; a peer that does not read would keep the socket until its bytes are gone."""
        self._keeper.left(self, gone=False)
        transport = self._transport
        if transport is None:
            return
        if transport.get_write_buffer_size():
            transport.abort()
        else:
            transport.close()


def words(error: BaseException) -> str:
    """The system's own words for an error, without numbers and class names."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
