"""Connections over several requests: reused, resent, dropped, cancelled and closed."""

import asyncio
import socket
import threading

import pytest
from structlog.testing import capture_logs

from tests.server.outbound.conftest import MakeSender, Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, Peer, answers, to
from video_translation_server.errors import InvalidError
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import PoolResolver, Sender
from video_translation_server.outbound.dial import plain_socket


@pytest.mark.parametrize("hard", [False, True], ids=["fin", "rst"])
async def test_a_reused_connection_that_closes_early_is_resent_once(sender: Sender, serve: Serve, hard: bool) -> None:
    seen: list[tuple[int, bytes]] = []

    async def handle(peer: Peer) -> None:
        number = server.connections
        seen.append((number, await peer.request()))
        await peer.say(EMPTY_OK)
        if number == 1:
            seen.append((number, await peer.request()))
            if hard:
                peer.reset()

    server = await serve(handle)
    assert (await sender.post(to(server.port), {}, b"one", deadline=LONG)).status == 200
    with capture_logs() as logs:
        outcome = await sender.post(to(server.port, "/secret-path"), {}, b"two", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.detail) == (OutcomeKind.STATUS, 200, "")
    assert [(number, request[-3:]) for number, request in seen] == [(1, b"one"), (1, b"two"), (2, b"two")]
    assert logs == [
        {
            "event": "connection_resent",
            "log_level": "info",
            "host": "127.0.0.1",
            "port": server.port,
            "address": "127.0.0.1",
        }
    ]


async def test_a_second_early_close_is_a_reset(sender: Sender, serve: Serve) -> None:
    requests = 0

    async def handle(peer: Peer) -> None:
        nonlocal requests
        await peer.request()
        requests += 1
        if server.connections == 1:
            await peer.say(EMPTY_OK)
            await peer.request()
            requests += 1

    server = await serve(handle)
    assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 200
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.RESET
    assert (requests, server.connections) == (3, 2)


async def test_two_stale_connections_cost_one_resend(sender: Sender, serve: Serve) -> None:
    both = asyncio.Barrier(2)
    requests = 0

    async def handle(peer: Peer) -> None:
        nonlocal requests
        number = server.connections
        await peer.request()
        requests += 1
        if number <= 2:
            await both.wait()
        await peer.say(EMPTY_OK)
        if number <= 2:
            await peer.request()
            requests += 1

    server = await serve(handle)
    await asyncio.gather(*(sender.post(to(server.port), {}, b"x", deadline=LONG) for _ in range(2)))
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert outcome.status == 200
    assert (requests, server.connections) == (4, 3)


async def test_a_reused_connection_that_closes_within_the_answer_is_not_resent(sender: Sender, serve: Serve) -> None:
    server = await serve(answers(EMPTY_OK, b"HTTP/1.1 2"))
    assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 200
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.detail) == (
        OutcomeKind.RESET,
        "the connection was closed in the middle of the answer's headers",
    )
    assert server.connections == 1


@pytest.mark.parametrize("together", [False, True], ids=["later", "at-once"])
async def test_an_answer_that_nobody_asked_for_meets_no_other_request(
    sender: Sender, serve: Serve, together: bool
) -> None:
    ended, go_on = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        if server.connections > 1:
            await peer.request()
            await peer.say(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n")
            return
        await peer.request()
        await peer.say(EMPTY_OK * (2 if together else 1))
        if not together:
            await go_on.wait()
            await peer.say(EMPTY_OK)
        await peer.eof()
        ended.set()

    server = await serve(handle)
    assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 200
    go_on.set()
    await asyncio.wait_for(ended.wait(), LONG)
    assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 500
    assert server.connections == 2


async def test_an_idle_connection_is_dropped_after_its_time(make_sender: MakeSender, serve: Serve) -> None:
    ended = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(EMPTY_OK)
        await peer.eof()
        ended.set()

    server = await serve(handle)
    assert (await make_sender(keepalive=0.05).post(to(server.port), {}, b"x", deadline=LONG)).status == 200
    await asyncio.wait_for(ended.wait(), LONG)


async def test_an_answer_before_the_whole_body_was_sent(make_sender: MakeSender, serve: Serve) -> None:
    def narrow(family: int, address: str, port: int) -> socket.socket:
        sock = plain_socket(family, address, port)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return sock

    async def handle(peer: Peer) -> None:
        peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.say(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        await gate.wait()

    gate = asyncio.Event()
    server = await serve(handle)
    sender = make_sender(open_socket=narrow)
    big = b"x" * 1_000_000  # more than fits in the buffers of a socket that nobody reads
    outcome = await sender.post(to(server.port), {}, big, deadline=LONG)
    assert (outcome.kind, outcome.status) == (OutcomeKind.STATUS, 413)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert outcome.status == 413
    gate.set()


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n\r\nhi"], ids=["waiting", "reading"])
async def test_cancelling_passes_through_and_leaks_nothing(sender: Sender, serve: Serve, part: bytes) -> None:
    asked, ended = asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(part)
        asked.set()
        await peer.eof()
        ended.set()

    server = await serve(handle)
    task = asyncio.ensure_future(sender.post(to(server.port), {}, b"x", deadline=LONG))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wait_for(ended.wait(), LONG)


async def test_closing_ends_what_is_in_flight(make_sender: MakeSender, serve: Serve) -> None:
    asked = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        asked.set()
        await peer.eof()

    server = await serve(handle)
    sender = make_sender()
    task = asyncio.ensure_future(sender.post(to(server.port), {}, b"x", deadline=LONG))
    await asked.wait()
    await sender.close()
    assert (await task).kind is OutcomeKind.RESET
    with pytest.raises(RuntimeError, match="closed"):
        await sender.post(to(server.port), {}, b"x", deadline=LONG)
    await sender.close()


async def test_closing_ends_a_lookup_in_flight(make_sender: MakeSender) -> None:
    started, release = threading.Event(), threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        started.set()
        release.wait(LONG)
        return (host,)

    sender = make_sender(resolver=PoolResolver(lookup=lookup))
    task = asyncio.ensure_future(sender.post("http://stuck.test/", {}, b"x", deadline=LONG))
    try:
        await asyncio.to_thread(started.wait, LONG)
        await sender.close()
        outcome = await task
    finally:
        release.set()
    assert (outcome.kind, outcome.detail) == (
        OutcomeKind.DNS,
        "the name was not resolved: the resolver was closed",
    )


async def test_a_ca_file_that_cannot_be_used_says_so(make_sender: MakeSender) -> None:
    with pytest.raises(InvalidError, match=r"no/such/file.*PEM") as caught:
        make_sender(ca_file="no/such/file")
    assert caught.value.param == "ca_file"
