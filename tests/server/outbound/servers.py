"""Raw servers on loopback that do exactly what a test tells them, byte by byte.

They know nothing of the sender; `conftest` starts and stops them.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.waiting import PATIENCE

Handler = Callable[["Peer"], Awaitable[None]]
SHORT = 0.5  # seconds, where running out of time is the point: all before that point takes less on a busy machine, too
LONG = PATIENCE  # where it is not
EMPTY_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = 1) -> None:
        self.reader = reader
        self.writer = writer
        self.number = number  # of the connection, from 1

    async def request(self) -> bytes:
        """Read one whole request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.partition(b":")[2]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        return head + await self.reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def eof(self) -> None:
        """Wait until the other side has closed."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Close with an RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """A listening server; connections are numbered from 1 in `connections`."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.connections = 0
        self.port = 0

    async def start(self, host: str, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._serve, host, 0, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            await self._handler(Peer(reader, writer, self.connections))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            self._tasks.discard(task)

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        await self._server.wait_closed()


async def a_moment() -> None:
    """Let the other side, in this loop, read what was said: several turns of it, however late each of them comes."""
    for _ in range(5):
        await asyncio.sleep(0.01)


def to(port: int, path: str = "/hook") -> str:
    """The URL of a server here."""
    return f"http://127.0.0.1:{port}{path}"


def answers(*answers: bytes) -> Handler:
    """A server that gives these answers on one connection, one per request, and then closes."""

    async def handle(peer: Peer) -> None:
        for answer in answers:
            await peer.request()
            await peer.say(answer)

    return handle


def always(answer: bytes) -> Handler:
    """A server that gives the same answer for ever and never closes by itself."""

    async def handle(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.say(answer)

    return handle


@contextlib.asynccontextmanager
async def a_full_port() -> AsyncIterator[int]:
    """A listening port whose queue is full: further connects get no answer."""
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        fillers = [stack.enter_context(socket.socket()) for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await asyncio.gather(*(loop.sock_connect(filler, listening.getsockname()) for filler in fillers))
        yield listening.getsockname()[1]
