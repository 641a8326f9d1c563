"""Answers that come late, in part, as garbage or not at all."""

import asyncio

import pytest

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import LONG, SHORT, Peer, a_moment, to
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import Sender


@pytest.mark.parametrize(
    ("part", "detail"),
    [
        (b"", "no answer came"),
        (b"HTTP/1.1 200 OK\r\nContent-", "only a part of the answer's headers came"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "only a part of the answer's headers came"),
    ],
)
async def test_read_timeout(sender: Sender, serve: Serve, part: bytes, detail: str) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(part)
        await peer.eof()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=SHORT)
    assert (outcome.kind, outcome.status) == (OutcomeKind.READ_TIMEOUT, None)
    assert outcome.detail == f"{detail} within the attempt's {SHORT:g} s"
    assert outcome.address == "127.0.0.1"


@pytest.mark.parametrize(
    ("first", "kind", "status"),
    [
        (b"HTTP/1.1 200 OK\r\nX: ", OutcomeKind.READ_TIMEOUT, None),
        (b"HTTP/1.1 202 OK\r\nContent-Length: 9999\r\n\r\n", OutcomeKind.SLOW_BODY, 202),
        (b"HTTP/1.1 202 OK\r\n\r\n", OutcomeKind.SLOW_BODY, 202),
    ],
    ids=["headers", "body", "endless-body"],
)
async def test_byte_by_byte_beyond_the_deadline(
    sender: Sender, serve: Serve, first: bytes, kind: OutcomeKind, status: int | None
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(first)
        while True:
            await peer.say(b"a")
            await asyncio.sleep(0.01)

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=SHORT)
    assert (outcome.kind, outcome.status) == (kind, status)
    assert set(outcome.body) == (set(b"a") if status else set())


async def test_a_whole_answer_byte_by_byte_is_fine(sender: Sender, serve: Serve) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi":
            await peer.say(bytes([byte]))
            await asyncio.sleep(0)

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.body) == (OutcomeKind.STATUS, 200, b"hi")


@pytest.mark.parametrize(
    "answer",
    [
        b"garbage\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x16",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA B: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: a\r\n" * 10_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"a" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_protocol(sender: Sender, serve: Serve, answer: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)
        await peer.eof()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status) == (OutcomeKind.PROTOCOL, None)
    assert outcome.detail.startswith("the answer is not valid HTTP: ")
    assert "\n" not in outcome.detail


@pytest.mark.parametrize("split", [False, True], ids=["at-once", "after-the-headers"])
async def test_a_bad_chunk_is_a_protocol_error(sender: Sender, serve: Serve, split: bool) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        if split:
            await a_moment()
        await peer.say(b"zz\r\n")
        await peer.eof()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.PROTOCOL
    # In one segment with its headers the whole answer is garbage to the parser.
    assert outcome.status in ((200,) if split else (None, 200))


@pytest.mark.parametrize("hard", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize(
    ("part", "where", "status"),
    [
        (b"", "before any byte of the answer", None),
        (b"HTTP/1.1 200 OK\r\nContent-", "in the middle of the answer's headers", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", "in the middle of the answer's body", 200),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
            "in the middle of the answer's body",
            200,
        ),
    ],
    ids=["nothing", "headers", "body", "chunks"],
)
async def test_reset_on_a_fresh_connection(
    sender: Sender, serve: Serve, *, part: bytes, where: str, status: int | None, hard: bool
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(part)
        if hard:
            await a_moment()  # an RST overtakes bytes that the other side has not read yet
            peer.reset()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status) == (OutcomeKind.RESET, status)
    assert outcome.detail == f"the connection was closed {where}"
    assert server.connections == 1
