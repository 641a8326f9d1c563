"""Attempts that are cancelled, or whose sender is closed, in each phase: they end at once and leave nothing behind."""

import asyncio
import contextlib
import dataclasses
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, Peer, a_full_port, to
from tests.waiting import eventually
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import AddressPolicy, Http1Sender, PoolResolver
from video_translation_server.outbound.dial import plain_socket

BIG = 1_000_000
"""Bytes of a body: more than the sockets of a server that does not read will hold."""


@dataclasses.dataclass
class Stage:
    """A target that an attempt comes only so far with, and the sockets that it opens on its way.

    Attributes:
        reached: Set once the attempt has come so far.
        body: What is sent.
        is_kept: Whether a connection is made and kept first.
        is_deaf: Whether connecting is as far as it comes.
        stack: What is closed in the end.
    """

    url: str = ""
    body: bytes = b"x"
    is_kept: bool = False
    is_deaf: bool = False
    reached: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)
    opened: list[socket.socket] = dataclasses.field(default_factory=list)
    let_go: threading.Event = dataclasses.field(default_factory=threading.Event)
    stack: contextlib.AsyncExitStack = dataclasses.field(default_factory=contextlib.AsyncExitStack)
    loop: asyncio.AbstractEventLoop = dataclasses.field(default_factory=asyncio.get_running_loop)

    def open_socket(self, family: int, address: str, port: int) -> socket.socket:
        sock = plain_socket(family, address, port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.opened.append(sock)
        if self.is_deaf:
            self.loop.call_soon(self.reached.set)
        return sock

    def lookup(self, host: str) -> tuple[str, ...]:
        self.loop.call_soon_threadsafe(self.reached.set)
        self.let_go.wait(LONG)
        return (host,)

    async def is_reached(self) -> None:
        async with asyncio.timeout(LONG):
            await self.reached.wait()

    async def has_no_socket(self) -> None:
        await eventually(lambda: all(sock.fileno() == -1 for sock in self.opened))


async def at_the_start(stage: Stage, serve: Serve) -> None:
    """The attempt's first step has not been made."""
    del serve
    stage.url = to(await stage.stack.enter_async_context(a_full_port()))
    stage.reached.set()


async def resolving(stage: Stage, serve: Serve) -> None:
    del serve
    stage.url = "http://stuck.test/"


async def connecting(stage: Stage, serve: Serve) -> None:
    del serve
    stage.url = to(await stage.stack.enter_async_context(a_full_port()))
    stage.is_deaf = True


async def shaking_hands(stage: Stage, serve: Serve) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(1)
        stage.reached.set()
        await peer.eof()

    stage.url = to((await serve(handle)).port).replace("http:", "https:")


async def sending(stage: Stage, serve: Serve) -> None:
    stage.body = b"x" * BIG

    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        stage.reached.set()
        await asyncio.Event().wait()

    stage.url = to((await serve(handle)).port)


def after(part: bytes) -> Callable[[Stage, Serve], Awaitable[None]]:
    async def waiting(stage: Stage, serve: Serve) -> None:
        async def handle(peer: Peer) -> None:
            await peer.request()
            await peer.say(part)
            stage.reached.set()
            await peer.eof()

        stage.url = to((await serve(handle)).port)

    return waiting


async def sent_once_more(stage: Stage, serve: Serve) -> None:
    """The kept connection was closed, and the new one is silent."""
    stage.is_kept = True

    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.say(EMPTY_OK)
            await peer.request()
            return
        stage.reached.set()
        await peer.eof()

    stage.url = to((await serve(handle)).port)


PHASES = {
    "at-the-start": at_the_start,
    "resolving": resolving,
    "connecting": connecting,
    "handshake": shaking_hands,
    "sending": sending,
    "waiting": after(b""),
    "headers": after(b"HTTP/1.1 200 OK\r\nX"),
    "body": after(b"HTTP/1.1 200 OK\r\n\r\nhi"),
    "sent-once-more": sent_once_more,
}


@contextlib.asynccontextmanager
async def on_stage(phase: str, serve: Serve) -> AsyncIterator[tuple[Stage, Http1Sender]]:
    """A stage and a sender; behind it no socket is open and no task runs that was not there before."""
    stage = Stage()
    await PHASES[phase](stage, serve)
    names = PoolResolver(lookup=stage.lookup)
    sender = Http1Sender(AddressPolicy(allow_loopback=True), resolver=names, open_socket=stage.open_socket)
    try:
        if stage.is_kept:
            assert (await sender.post(stage.url, {}, b"x", deadline=LONG)).status == 200
        yield stage, sender
    finally:
        stage.let_go.set()
        await sender.close()
        await stage.stack.aclose()
    await stage.has_no_socket()
    await eventually(lambda: not any("Http1Sender." in repr(task.get_coro()) for task in asyncio.all_tasks()))


@pytest.mark.parametrize("phase", PHASES)
async def test_a_cancelled_attempt_leaves_nothing(serve: Serve, phase: str) -> None:
    async with on_stage(phase, serve) as (stage, sender):
        attempt = sender.post(stage.url, {}, stage.body, deadline=LONG)
        await stage.is_reached()
        assert attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
        await stage.has_no_socket()  # before the sender is closed


@pytest.mark.parametrize("phase", PHASES)
async def test_closing_the_sender_ends_an_attempt(serve: Serve, phase: str) -> None:
    async with on_stage(phase, serve) as (stage, sender):
        attempt = sender.post(stage.url, {}, stage.body, deadline=LONG)
        await stage.is_reached()
        await sender.close()
        outcome = await asyncio.wait_for(attempt, LONG / 10)
        assert outcome.kind is (OutcomeKind.DNS if phase == "resolving" else OutcomeKind.RESET), outcome.detail
