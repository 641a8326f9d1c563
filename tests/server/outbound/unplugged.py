"""Connections without a network: what is written goes nowhere, and the test says what comes back."""

import asyncio

from tests.server.outbound.servers import LONG
from video_translation_server.outbound.answer import Answer
from video_translation_server.outbound.exchange import Exchange
from video_translation_server.outbound.memory import Memory
from video_translation_server.outbound.request import place_of
from video_translation_server.outbound.target import read_target
from video_translation_server.outbound.wire import Keeper, Wire


class Kept:
    """Keeps nothing, and tells which connections could be used again."""

    def __init__(self) -> None:
        self.rests: list[Wire] = []

    def joined(self, wire: Wire) -> None:
        """Nobody counts them."""

    def rested(self, wire: Wire) -> None:
        self.rests.append(wire)

    def left(self, wire: Wire, *, gone: bool) -> None:
        """It is not used again anyhow."""


class Transport(asyncio.Transport):
    """A transport that goes nowhere and tells whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = ""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return bool(self.closed)

    def close(self) -> None:
        self.closed = self.closed or "closed"

    def abort(self) -> None:
        self.closed = "aborted"


def wire(
    keeper: Keeper, host: str = "a.test", *, address: str = "127.0.0.1", memory: Memory | None = None
) -> tuple[Wire, Transport]:
    transport = Transport()
    made = Wire(
        asyncio.get_running_loop(),
        keeper,
        origin=("http", host, 80),
        address=address,
        answer=Answer(100, 100),
        max_body=100,
        memory=Memory() if memory is None else memory,
    )
    made.connection_made(transport)
    return made, transport


def ask(made: Wire, deadline: float = LONG) -> Exchange:
    loop = asyncio.get_running_loop()
    place = place_of("http://a.test/", read_target("http://a.test/"))
    exchange = Exchange(loop, place, b"request", when=loop.time() + deadline, deadline=deadline)
    made.send(exchange)
    return exchange
