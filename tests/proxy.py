"""A TCP proxy before a PostgreSQL server, for trouble with connections on order: cut, refused, answers lost."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit, urlunsplit

Watch = Callable[[bytes], bool]
"""Looks at what a client sends; True cuts the connection."""


class Proxy:
    """Listens on 127.0.0.1 and passes everything on, until it is told otherwise."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._port = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._pipes: set[asyncio.Task[None]] = set()
        self.cut_before: Watch | None = None
        """What makes it True never arrives."""
        self.cut_after: Watch | None = None
        """What makes it True arrives, and its answer does not."""

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    @property
    def url(self) -> str:
        """The way through the proxy."""
        credentials, _, _ = self._target.netloc.rpartition("@")
        host = f"127.0.0.1:{self._port}"
        return urlunsplit(self._target._replace(netloc=f"{credentials}@{host}" if credentials else host, query=""))

    async def accept(self) -> None:
        """Take connections (again)."""
        self._server = await asyncio.start_server(self._pass_on, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Take no more connections, and cut those that there are."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def cut(self) -> None:
        """Cut every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await self._connect()
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, back}
        mute = asyncio.Event()
        pipes = [
            asyncio.create_task(self._pipe(reader, back, writer, mute)),
            asyncio.create_task(_return(there, writer, mute)),
        ]
        self._pipes.update(pipes)
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, back):
            end.transport.abort()
            self._open.discard(end)
        await asyncio.gather(*pipes, return_exceptions=True)
        self._pipes.difference_update(pipes)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        port = self._target.port or 5432
        folder = parse_qs(self._target.query).get("host")
        if folder:
            return await asyncio.open_unix_connection(f"{folder[0]}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self._target.hostname, port)

    async def _pipe(
        self,
        source: asyncio.StreamReader,
        server: asyncio.StreamWriter,
        client: asyncio.StreamWriter,
        mute: asyncio.Event,
    ) -> None:
        while data := await _read(source):
            if self.cut_before is not None and self.cut_before(data):
                return
            if self.cut_after is not None and self.cut_after(data):
                mute.set()
                client.transport.abort()
                server.write(data)
                server.write_eof()  # the server reads what it was sent, and finds nobody to answer
                await server.drain()
                return
            server.write(data)
            await server.drain()


async def _return(source: asyncio.StreamReader, client: asyncio.StreamWriter, mute: asyncio.Event) -> None:
    while data := await _read(source):
        if not mute.is_set():
            client.write(data)
            await client.drain()


async def _read(source: asyncio.StreamReader) -> bytes:
    try:
        return await source.read(65536)
    except OSError:
        return b""
