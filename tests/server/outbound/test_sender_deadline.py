"""One deadline over everything: no phase, address or second sending begins it anew. The clock is moved by hand."""

import asyncio
import socket

import pytest

from tests.server.outbound.conftest import MakeSender, Move, Serve
from tests.server.outbound.servers import EMPTY_OK, Peer, to
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import PoolResolver
from video_translation_server.outbound.dial import plain_socket


@pytest.mark.parametrize("part", [b"", b"HTTP/1.1 200 OK\r\n\r\nhi"], ids=["waiting", "reading"])
async def test_a_second_sending_has_what_the_first_has_left(
    make_sender: MakeSender, serve: Serve, move: Move, part: bytes
) -> None:
    asked, go_on, again = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        if peer.number == 1:
            await peer.say(EMPTY_OK)
            await peer.request()
            asked.set()
            await go_on.wait()
            return
        await peer.say(part)
        again.set()
        await peer.eof()

    server = await serve(handle)
    sender = make_sender()
    assert (await sender.post(to(server.port), {}, b"x", deadline=100)).status == 200
    attempt = asyncio.ensure_future(sender.post(to(server.port), {}, b"x", deadline=100))
    await asked.wait()
    await move(60)
    go_on.set()
    await again.wait()
    assert not attempt.done()
    await move(45)
    outcome = await attempt
    assert outcome.kind is (OutcomeKind.SLOW_BODY if part else OutcomeKind.READ_TIMEOUT)
    assert outcome.detail.endswith("within the attempt's 100 s")


async def test_the_addresses_of_a_name_share_the_deadline(make_sender: MakeSender, serve: Serve, move: Move) -> None:
    greeted: asyncio.Queue[int] = asyncio.Queue()
    dialled: list[str] = []

    def dial(family: int, address: str, port: int) -> socket.socket:
        dialled.append(address)
        return plain_socket(family, address, port)

    async def handle(peer: Peer) -> None:
        await peer.reader.read(1)
        greeted.put_nowait(peer.number)
        await peer.eof()

    server = await serve(handle, host="0.0.0.0")  # all of 127.0.0.0/8
    addresses = ("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4")
    names = PoolResolver(lookup=lambda _: addresses)
    sender = make_sender(resolver=names, open_socket=dial, connect_timeout=50)
    attempt = asyncio.ensure_future(sender.post(f"https://many.test:{server.port}/", {}, b"x", deadline=120))
    for seconds in (51, 51, 19):
        await greeted.get()
        await move(seconds)
    outcome = await attempt
    assert (outcome.kind, outcome.address) == (OutcomeKind.TLS, "127.0.0.3")
    assert outcome.detail.startswith("the TLS handshake did not end within the attempt's 120 s")
    assert dialled == list(addresses[:3])
