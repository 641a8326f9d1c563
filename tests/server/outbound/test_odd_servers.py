"""Odd servers, one case each, over both engines: the class of the outcome, and what becomes of the connection.

After each odd answer a second request must be answered by its own answer, whatever is left of the first.
"""

import asyncio
import socket

import pytest

from tests.server.outbound.conftest import MakeSender, Serve
from tests.server.outbound.odd import ODD, PROTOCOL, RESET, SECOND, SILENT, SLOW, STATUS, Odd, go_on, of_an_odd_answer
from tests.server.outbound.servers import EMPTY_OK, LONG, SHORT, Peer, a_moment, to
from video_translation_server.outbound import Sender
from video_translation_server.outbound.dial import plain_socket


@pytest.mark.parametrize("odd", ODD, ids=[odd.name for odd in ODD])
async def test_an_odd_answer(sender: Sender, serve: Serve, engine: str, odd: Odd) -> None:
    server = await serve(of_an_odd_answer(odd))
    oracle = odd.oracle if engine == "aiohttp" else None
    kind, status = oracle or (odd.kind, odd.status)
    deadline = SHORT if kind in (SLOW, SILENT) else LONG
    outcome = await sender.post(to(server.port), {}, b"x", deadline=deadline)
    assert outcome.kind is kind, outcome.detail
    assert (outcome.address, outcome.retry_after) == ("127.0.0.1", None)
    if engine == "aiohttp":
        # What is garbage in the same segment as the headers takes them with it.
        assert outcome.status == status or (kind is PROTOCOL and outcome.status is None)
    else:
        assert (outcome.status, outcome.body) == (status, odd.body)
    if oracle is None:
        second = await sender.post(to(server.port), {}, b"x", deadline=LONG)
        assert (second.kind, second.status) == (STATUS, 202)
        assert server.connections == (1 if odd.kept else 2)


async def test_an_answer_before_the_request(sender: Sender, serve: Serve) -> None:
    async def handle(peer: Peer) -> None:
        if peer.number == 1:
            await peer.say(EMPTY_OK)
        else:
            await peer.request()
            await peer.say(SECOND)
        await peer.eof()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert outcome.kind in (PROTOCOL, STATUS)  # whichever crosses the other on the way
    if outcome.kind is PROTOCOL:
        assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 202


@pytest.mark.parametrize("then", ["fin", "rst", "half"])
async def test_a_server_that_closes_before_it_reads(sender: Sender, serve: Serve, then: str) -> None:
    async def handle(peer: Peer) -> None:
        await go_on(then, peer)

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x" * 300_000, deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.address) == (RESET, None, "127.0.0.1")
    assert server.connections == 1


def narrow(family: int, address: str, port: int) -> socket.socket:
    """A socket that takes few bytes at a time."""
    sock = plain_socket(family, address, port)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return sock


async def test_a_server_that_reads_slowly(make_sender: MakeSender, serve: Serve) -> None:
    body = bytes(range(256)) * 1200

    async def handle(peer: Peer) -> None:
        got = await peer.reader.readuntil(b"\r\n\r\n")
        while len(got.partition(b"\r\n\r\n")[2]) < len(body):
            got += await peer.reader.read(20_000)
            await asyncio.sleep(0.001)
        await peer.say(EMPTY_OK if got.endswith(b"\r\n\r\n" + body) else SECOND)
        await peer.eof()

    server = await serve(handle)
    outcome = await make_sender(open_socket=narrow).post(to(server.port), {}, body, deadline=LONG)
    assert (outcome.kind, outcome.status) == (STATUS, 200)


async def test_a_server_that_does_not_read(make_sender: MakeSender, serve: Serve) -> None:
    over = asyncio.Event()

    async def handle(peer: Peer) -> None:
        del peer
        await over.wait()

    server = await serve(handle)
    outcome = await make_sender(open_socket=narrow).post(to(server.port), {}, b"x" * 1_000_000, deadline=SHORT)
    over.set()
    assert (outcome.kind, outcome.status) == (SILENT, None)


async def test_a_server_that_half_closes_while_the_body_is_sent(
    make_sender: MakeSender, serve: Serve, engine: str
) -> None:
    over = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.writer.write_eof()
        await over.wait()

    server = await serve(handle)
    deadline = SHORT if engine == "aiohttp" else LONG  # aiohttp waits until all is sent
    outcome = await make_sender(open_socket=narrow).post(to(server.port), {}, b"x" * 1_000_000, deadline=deadline)
    over.set()
    assert outcome.kind in ((RESET, SILENT) if engine == "aiohttp" else (RESET,))


@pytest.mark.parametrize("then", ["fin", "rst", "half"])
async def test_an_early_answer_and_an_end_while_the_body_is_sent(
    make_sender: MakeSender, serve: Serve, then: str
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await go_on(then, peer, once_read=True)
        await a_moment()

    server = await serve(handle)
    outcome = await make_sender(open_socket=narrow).post(to(server.port), {}, b"x" * 1_000_000, deadline=LONG)
    # A server that closes with bytes unread sends an RST, which may overtake its answer.
    assert (outcome.kind, outcome.status) in ((STATUS, 413), (RESET, None))
    assert server.connections == 1


async def test_garbage_on_an_idle_connection(sender: Sender, serve: Serve) -> None:
    spoken, ended = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(SECOND)
        if peer.number == 1:
            await spoken.wait()
            await peer.say(b"\r\n")
            await peer.eof()
            ended.set()
        await peer.eof()

    server = await serve(handle)
    for _ in range(2):
        assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 202
        spoken.set()
        await asyncio.wait_for(ended.wait(), LONG)
    assert server.connections == 2
