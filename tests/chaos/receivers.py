"""Receivers on loopback that misbehave by plan: raw HTTP/1.1 on asyncio, one port per endpoint.

Each request that was read to its end and is truly signed becomes a `Receipt`; what is done to it is `plan`'s choice.
"""

import asyncio
import hashlib
import hmac
import json
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, cast

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.chaos.pacing import happens
from tests.chaos.plan import Fault, Faults, Profile
from tests.chaos.record import TRANSITIONS, Answer, Pair, Receipt, Record

OK = b"HTTP/1.1 204 No Content\r\n\r\n"
CUT = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"taken"'
ERROR = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
RESET = struct.pack("ii", 1, 0)
"""SO_LINGER for zero seconds: closing then sends RST."""


def fingerprint(event: Any) -> str:
    """What stands for a whole event, however its JSON was spaced."""
    return hashlib.sha256(json.dumps(event, sort_keys=True).encode()).hexdigest()


class Receiver:
    """One endpoint's receiver.

    Attributes:
        endpoint: Its id, once it is registered.
        secret: What its deliveries are signed with; until it is known, every request is reset.
    """

    def __init__(self, profile: Profile, seed: int, record: Record, life: Callable[[], int]) -> None:
        """Nothing listens until `open`; `life` tells the number of the server process that runs now."""
        self.profile = profile
        self.faults = Faults(profile, seed)
        self.life = life
        self.endpoint = ""
        self.secret = ""
        self._record = record
        self._listener: asyncio.Server | None = None
        self._connections: set[_Connection] = set()
        # Bound and never listening: it keeps the port over outages, in which connections are then refused.
        self._place = socket.socket()
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """What the server is told to call."""
        host, port = self._place.getsockname()
        return f"http://{host}:{port}/hook"

    async def open(self) -> None:
        """Listen."""
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: _Connection(self, self._connections), *self._place.getsockname(), reuse_port=True
        )

    async def close(self) -> None:
        """Refuse connections, and drop those that there are."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for connection in list(self._connections):
            connection.abort()

    async def go_down_now_and_then(self, calm: asyncio.Event) -> None:
        """Refuse connections for a while, again and again, until everything shall be calm; if the profile does."""
        while self.profile.goes_down:
            until, length = self.faults.outage()
            if await happens(calm, within=until):
                return
            await self.close()
            await happens(calm, within=length)
            await self.open()

    def retire(self) -> None:
        """Let go of the port."""
        self._place.close()

    def take(self, headers: dict[str, str], body: bytes, life: int) -> Receipt | None:
        """Verify a delivery and note it; None for a bad signature and for what is no transition."""
        if not self._is_signed(headers, body):
            self._record.forged += 1
            return None
        event = json.loads(body)
        if event["event_type"] not in TRANSITIONS:
            return None
        data = event["event_data"]
        receipt = Receipt(
            pair=Pair(self.endpoint, event["event_id"]),
            job=data["video_translate_id"],
            sequence=data["sequence"],
            fingerprint=fingerprint(event),
            life=life,
            at=time.monotonic(),
        )
        self._record.receipts.append(receipt)
        return receipt

    def _is_signed(self, headers: dict[str, str], body: bytes) -> bool:
        """Both families, the standard one by its reference library."""
        expected = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        try:
            Webhook(self.secret).verify(body, headers, json_parse=False)
        except (WebhookVerificationError, ValueError):
            return False
        same_id = headers.get("heygen-event-id") == headers["webhook-id"] == json.loads(body)["event_id"]
        return same_id and hmac.compare_digest(headers.get("heygen-signature", ""), expected)


class _Connection(asyncio.Protocol):
    """One connection, of the server process that ran when it was accepted."""

    def __init__(self, receiver: Receiver, connections: set["_Connection"]) -> None:
        self._receiver = receiver
        self._connections = connections
        self._life = receiver.life()
        self._buffer = b""
        self._fault: Fault | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self)

    def abort(self) -> None:
        """Reset the connection."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._fault is None:
            self._fault = self._receiver.faults.draw()
        if self._fault is Fault.RESET_BEFORE or not self._receiver.secret:
            self.abort()
            return
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        headers = _headers(head)
        if len(body) < int(headers["content-length"]):
            return
        fault, self._fault, self._buffer = self._fault, None, b""
        receipt = self._receiver.take(headers, body, self._life)
        self._misbehave(fault, receipt)

    def _misbehave(self, fault: Fault, receipt: Receipt | None) -> None:
        match fault:
            case Fault.SLOW:
                delay = self._receiver.faults.delay()
                asyncio.get_running_loop().call_later(delay, self._answer, OK, receipt, Answer.TAKEN)
            case Fault.ERROR:
                self._answer(ERROR, receipt, Answer.FAILED)
            case Fault.UNAVAILABLE:
                self._answer(UNAVAILABLE, receipt, Answer.FAILED)
            case Fault.HANG:
                _note(receipt, Answer.HUNG)
            case Fault.RESET_AFTER:
                _note(receipt, Answer.FAILED)
                self.abort()
            case Fault.SWALLOW:
                self._answer(CUT, receipt, Answer.SWALLOWED)
                self._transport.close()
            case _:
                self._answer(OK, receipt, Answer.TAKEN)

    def _answer(self, answer: bytes, receipt: Receipt | None, meaning: Answer) -> None:
        """Write it, unless the connection has gone: then the request was not taken either."""
        if self._transport.is_closing():
            return
        self._transport.write(answer)
        _note(receipt, meaning)


def _note(receipt: Receipt | None, answer: Answer) -> None:
    if receipt is not None:
        receipt.answer, receipt.answered_at = answer, time.monotonic()


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
