"""What is sent and what is read when all goes well enough for a status."""

import asyncio
import contextlib
import gzip

import pytest

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, Peer, always, answers, to
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import Sender


async def test_the_request_is_the_callers_and_nothing_of_the_engines(sender: Sender, serve: Serve) -> None:
    seen = []

    async def handle(peer: Peer) -> None:
        seen.append(await peer.request())
        await peer.say(EMPTY_OK)

    server = await serve(handle)
    headers = {"Content-Type": "application/json", "webhook-id": "evt_1"}
    outcome = await sender.post(to(server.port, "/a%41/../b?x=%41{"), headers, b'{"a":1}', deadline=LONG)
    assert outcome.kind is OutcomeKind.STATUS
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /a%41/../b?x=%41{ HTTP/1.1"
    assert body == b'{"a":1}'
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        "Content-Length: 7",
        "Content-Type: application/json",
        f"Host: 127.0.0.1:{server.port}",
        "webhook-id: evt_1",
    ]


@pytest.mark.parametrize("status", [200, 201, 299, 301, 302, 307, 400, 410, 429, 500, 503])
async def test_a_status_is_a_status(sender: Sender, serve: Serve, status: int) -> None:
    answer = f"HTTP/1.1 {status} X\r\nLocation: http://169.254.169.254/\r\nContent-Length: 2\r\n\r\nhi"
    server = await serve(always(answer.encode()))
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.body) == (OutcomeKind.STATUS, status, b"hi")
    assert (outcome.detail, outcome.address, outcome.retry_after) == ("", "127.0.0.1", None)
    assert server.connections == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    ],
)
async def test_an_answer_without_a_body(sender: Sender, serve: Serve, answer: bytes) -> None:
    server = await serve(always(answer))
    for _ in range(2):
        outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
        assert (outcome.kind, outcome.status, outcome.body) == (OutcomeKind.STATUS, 204, b"")
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX: y\r\n\r\n", b"hi"),
        (b"HTTP/1.1 200 OK\r\n\r\nhi", b"hi"),
        (b"HTTP/1.0 200 OK\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
    ids=["chunked", "until-close", "http-1.0", "connection-close"],
)
async def test_framings_of_a_body(sender: Sender, serve: Serve, answer: bytes, body: bytes) -> None:
    server = await serve(answers(answer))
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.body) == (OutcomeKind.STATUS, 200, body)


async def test_switching_protocols_is_a_status_and_ends_the_connection(sender: Sender, serve: Serve) -> None:
    closed = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        await peer.eof()
        closed.set()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert outcome.status == 101
    await asyncio.wait_for(closed.wait(), LONG)


async def test_retry_after_and_compressed_bodies_stay_as_they_came(sender: Sender, serve: Serve) -> None:
    packed = gzip.compress(b"x" * 10_000_000)[:2000]
    head = f"HTTP/1.1 429 X\r\nRetry-After: 120\r\nContent-Encoding: gzip\r\nContent-Length: {len(packed)}\r\n\r\n"
    server = await serve(always(head.encode() + packed))
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.status, outcome.retry_after, outcome.body) == (429, "120", packed)


async def test_cookies_and_proxies_of_the_environment_are_ignored(
    sender: Sender, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def handle(peer: Peer) -> None:
        while True:
            seen.append(await peer.request())
            await peer.say(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9/")
    monkeypatch.setenv("all_proxy", "http://127.0.0.1:9/")
    server = await serve(handle)
    for _ in range(2):
        assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 200
    assert b"cookie" not in seen[1].lower()


async def test_ipv6_and_other_spellings_of_a_literal(sender: Sender, serve: Serve) -> None:
    six = await serve(always(EMPTY_OK), host="::1")
    outcome = await sender.post(f"http://[0:0::1]:{six.port}/", {}, b"x", deadline=LONG)
    assert (outcome.status, outcome.address) == (200, "::1")
    four = await serve(always(EMPTY_OK))
    for host in ("2130706433", "0x7f.1", "127.0.0.1.", "%31%32%37.0.0.1", "１２７。0。0。1"):  # noqa: RUF001
        outcome = await sender.post(f"http://{host}:{four.port}/", {}, b"x", deadline=LONG)
        assert (outcome.status, outcome.address, outcome.detail) == (200, "127.0.0.1", "")


async def test_a_header_that_cannot_be_sent_is_the_callers_mistake(sender: Sender, serve: Serve) -> None:
    server = await serve(always(EMPTY_OK))
    with pytest.raises(ValueError, match="header"):
        await sender.post(to(server.port), {"X": "a\r\nHost: b"}, b"x", deadline=LONG)


async def test_an_endless_body_is_cut_and_its_status_counts(sender: Sender, serve: Serve) -> None:
    closed = asyncio.Event()
    sent = 0

    async def handle(peer: Peer) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await peer.say(b"a" * 4096)
                sent += 4096
        closed.set()

    server = await serve(handle)
    outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.body) == (OutcomeKind.STATUS, 200, b"a" * 2048)
    assert outcome.detail == "the answer's body was cut at 16384 bytes"
    await asyncio.wait_for(closed.wait(), LONG)
    assert sent < 32 * 1024 * 1024  # what kernel buffers hold, not what a reader would have taken


@pytest.mark.parametrize(("size", "connections"), [(0, 1), (2048, 1), (16384, 1), (300_000, 2)])
async def test_the_cap_decides_whether_a_connection_is_kept(
    sender: Sender, serve: Serve, size: int, connections: int
) -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + b"a" * size
    server = await serve(always(answer))
    for _ in range(2):
        outcome = await sender.post(to(server.port), {}, b"x", deadline=LONG)
        assert (outcome.kind, len(outcome.body)) == (OutcomeKind.STATUS, min(size, 2048))
        assert bool(outcome.detail) is (size > 16384)
    assert server.connections == connections
