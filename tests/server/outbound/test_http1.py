"""Our own engine from the inside: request bytes, the pool, TLS sessions, and what is left when it ends."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, SHORT, Peer, always, to
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import AddressPolicy, Http1Sender, PoolResolver
from video_translation_server.outbound.answer import Answer
from video_translation_server.outbound.dial import plain_socket
from video_translation_server.outbound.exchange import Exchange
from video_translation_server.outbound.pool import Pool
from video_translation_server.outbound.request import Place, place_of, request_bytes
from video_translation_server.outbound.target import read_target
from video_translation_server.outbound.wire import Wire

LOOPBACK = AddressPolicy(allow_loopback=True)


def place(url: str) -> Place:
    return place_of(url, read_target(url))


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("http://h.test", b"POST / HTTP/1.1", b"h.test"),
        ("http://h.test?a=1", b"POST /?a=1 HTTP/1.1", b"h.test"),
        ("http://h.test/?", b"POST /? HTTP/1.1", b"h.test"),
        ("http://h.test//a/../b;c?d?e", b"POST //a/../b;c?d?e HTTP/1.1", b"h.test"),
        ("HTTP://H.Test.:80/%7e", b"POST /%7e HTTP/1.1", b"h.test"),
        ("https://h.test:443/", b"POST / HTTP/1.1", b"h.test"),
        ("https://h.test:80/", b"POST / HTTP/1.1", b"h.test:80"),
        ("http://h.test/ä?ö=€%41", b"POST /%C3%A4?%C3%B6=%E2%82%AC%41 HTTP/1.1", b"h.test"),
        ("http://[2001:DB8::0:1]/", b"POST / HTTP/1.1", b"[2001:db8::1]"),
        ("http://[::1]:8080/", b"POST / HTTP/1.1", b"[::1]:8080"),
        ("http://0x7f.1:81/", b"POST / HTTP/1.1", b"127.0.0.1:81"),
        ("http://faß.test/", b"POST / HTTP/1.1", b"xn--fa-hia.test"),
        ("http://BÜCHER.test/", b"POST / HTTP/1.1", b"xn--bcher-kva.test"),
        ("http://☃.test/", b"POST / HTTP/1.1", b"xn--n3h.test"),
    ],
)
def test_how_a_request_begins(url: str, line: bytes, host: bytes) -> None:
    head = request_bytes(place(url), {"X-A": "b"}, b"body")
    assert head.split(b"\r\n") == [
        line,
        b"Host: " + host,
        b"Accept-Encoding: identity",
        b"Content-Length: 4",
        b"X-A: b",
        b"",
        b"body",
    ]


@pytest.mark.parametrize(
    "headers",
    [
        {"X": "a\r\nHost: b"},
        {"X": "a\n"},
        {"X": "a\rb"},
        {"X": "a\0b"},
        {"X": "a\x7f"},
        {"X": "€"},
        {"X\r\nY": "a"},
        {"X Y": "a"},
        {"X:": "a"},
        {"": "a"},
        {"Ä": "a"},
        {"Host": "a"},
        {"content-length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "close"},
        {"Expect": "100-continue"},
        {"Upgrade": "h2c"},
    ],
)
def test_a_header_that_would_change_the_request(headers: Mapping[str, str]) -> None:
    with pytest.raises(ValueError, match="header"):
        request_bytes(place("http://h.test/"), headers, b"")


def test_a_header_in_latin_1_and_with_a_tab_is_sent() -> None:
    assert b"\r\nX: \xe9\t!\r\n" in request_bytes(place("http://h.test/"), {"X": "é\t!"}, b"")


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


def wire(pool: Pool, host: str = "a.test") -> tuple[Wire, Transport]:
    transport = Transport()
    made = Wire(
        asyncio.get_running_loop(),
        pool,
        origin=("http", host, 80),
        address="127.0.0.1",
        answer=Answer(100, 100),
        max_body=100,
    )
    made.connection_made(transport)
    return made, transport


def ask(made: Wire, deadline: float = LONG) -> Exchange:
    loop = asyncio.get_running_loop()
    place = place_of("http://a.test/", read_target("http://a.test/"))
    exchange = Exchange(loop, place, b"request", when=loop.time() + deadline, deadline=deadline)
    made.send(exchange)
    return exchange


async def idle(pool: Pool, host: str = "a.test") -> tuple[Wire, Transport]:
    made, transport = wire(pool, host)
    answered = ask(made)
    made.data_received(EMPTY_OK)
    assert (await answered).status == 200
    return made, transport


async def end(pool: Pool, *transports: tuple[Wire, Transport]) -> None:
    for made, _ in transports:
        made.connection_lost(None)
    await pool.close()


async def test_the_connection_that_was_used_last_is_taken_first_and_an_old_one_never() -> None:
    pool = Pool(LONG)
    wires = [await idle(pool) for _ in range(3)]
    now = asyncio.get_running_loop().time()
    assert pool.take(("http", "b.test", 80), now) is None
    assert pool.take(("http", "a.test", 80), now) is wires[2][0]
    assert pool.take(("http", "a.test", 80), now + LONG) is None
    assert wires[1][1].closed == "closed"
    assert pool.take(("http", "a.test", 80), now) is wires[0][0]
    assert pool.take(("http", "a.test", 80), now) is None
    await end(pool, *wires)


async def test_the_pool_keeps_so_many_per_origin_and_in_all() -> None:
    pool = Pool(LONG, max_idle=3, max_idle_per_origin=2)
    wires = [await idle(pool, host) for host in ("a", "a", "a", "b", "c")]
    assert [transport.closed for _, transport in wires] == ["closed", "closed", "", "", ""]
    await end(pool, *wires)


async def test_the_sweep_closes_what_was_idle_for_too_long() -> None:
    pool = Pool(SHORT * 2)
    wires = [await idle(pool)]
    await asyncio.sleep(SHORT)
    wires.append(await idle(pool, "b.test"))
    await asyncio.sleep(SHORT * 1.25)
    assert [transport.closed for _, transport in wires] == ["closed", ""]
    await asyncio.sleep(SHORT * 1.5)
    assert [transport.closed for _, transport in wires] == ["closed", "closed"]
    await end(pool, *wires)


async def test_bytes_before_the_request_are_no_answer_to_it() -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    made.data_received(EMPTY_OK)
    outcome = await ask(made)
    assert (outcome.kind, outcome.status) == (OutcomeKind.PROTOCOL, None)
    assert outcome.detail == "the answer is not valid HTTP: it came before the request"
    assert (transport.closed, transport.written) == ("aborted", [])
    await end(pool, (made, transport))


async def test_a_connection_that_is_lost_before_the_request_is_a_reset() -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    made.connection_lost(None)
    outcome = await ask(made)
    assert (outcome.kind, transport.written) == (OutcomeKind.RESET, [])
    await pool.close()


@pytest.mark.parametrize("deadlines", [(SHORT, LONG), (SHORT / 2, SHORT), (LONG, SHORT)], ids=repr)
async def test_a_deadline_is_the_requests_own_on_a_connection_that_has_carried_another(
    deadlines: tuple[float, float],
) -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    loop = asyncio.get_running_loop()
    first, second = deadlines
    answered = ask(made, first)
    made.data_received(EMPTY_OK)
    assert (await answered).status == 200
    began = loop.time()
    waiting = ask(made, second)
    if second == LONG:
        await asyncio.sleep(first + SHORT / 2)
        assert not waiting.done()
        made.data_received(EMPTY_OK)
    outcome = await waiting
    assert outcome.kind is (OutcomeKind.STATUS if second == LONG else OutcomeKind.READ_TIMEOUT)
    assert second == LONG or second <= loop.time() - began < second + 1
    await end(pool, (made, transport))


@pytest.mark.parametrize("answered", [False, True], ids=["waiting", "answered"])
async def test_cancelling_at_any_instant_keeps_the_answered_and_closes_the_other(*, answered: bool) -> None:
    pool = Pool(LONG)
    made, transport = wire(pool)
    exchange = ask(made)
    if answered:
        made.data_received(EMPTY_OK)
    assert exchange.cancel() is not answered
    assert transport.closed == ("" if answered else "aborted")
    taken = pool.take(made.origin, asyncio.get_running_loop().time())
    assert taken is (made if answered else None)
    await end(pool, (made, transport))


class TestOverSockets:
    """With real connections, on both event loops."""

    async def test_nothing_is_left_of_cancelled_attempts(self, serve: Serve) -> None:
        """A large run with cancellations at random instants leaves no task, timer or socket."""
        opened: list[socket.socket] = []

        def counted(family: int, address: str, port: int) -> socket.socket:
            opened.append(plain_socket(family, address, port))
            return opened[-1]

        server = await serve(always(EMPTY_OK))
        sender = Http1Sender(LOOPBACK, open_socket=counted)
        for after in range(40):
            task = asyncio.ensure_future(sender.post(to(server.port), {}, b"x", deadline=LONG))
            for _ in range(after % 12):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        assert (await sender.post(to(server.port), {}, b"x", deadline=LONG)).status == 200
        await sender.close()
        await asyncio.sleep(0)
        gc.collect()
        assert [sock for sock in opened if sock.fileno() != -1] == []

    async def test_closing_ends_an_attempt_that_is_connecting(self) -> None:
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(0)
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(listening.getsockname())
            sender = Http1Sender(LOOPBACK)
            task = asyncio.ensure_future(sender.post(to(listening.getsockname()[1]), {}, b"x", deadline=LONG))
            await asyncio.sleep(SHORT / 4)
            await sender.close()
            outcome = await asyncio.wait_for(task, SHORT * 5)
            assert outcome.kind is OutcomeKind.RESET
            for filler in fillers:
                filler.close()

    async def test_many_at_once_share_no_connection(self, serve: Serve) -> None:
        async def echo(peer: Peer) -> None:
            while True:
                body = (await peer.request()).partition(b"\r\n\r\n")[2]
                await asyncio.sleep(0.001 * (len(body) % 3))
                await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))

        server = await serve(echo)
        sender = Http1Sender(LOOPBACK)

        async def one(number: int) -> None:
            for turn in range(10):
                body = b"%d of %d" % (turn, number)
                assert (await sender.post(to(server.port), {}, body, deadline=LONG)).body == body

        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(one(number))
        assert server.connections <= 50
        await sender.close()

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    async def test_a_second_tls_connection_to_a_name_resumes_the_first(
        self, serve: Serve, tmp_path: Path, version: ssl.TLSVersion
    ) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.minimum_version = tls.maximum_version = version
        authority.issue_cert("good.test", "other.test").configure_cert(tls)
        resumed: list[bool] = []

        async def handle(peer: Peer) -> None:
            resumed.append(peer.writer.get_extra_info("ssl_object").session_reused)
            await peer.request()
            await peer.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
            await peer.eof()

        server = await serve(handle, tls=tls)
        names = PoolResolver(lookup=lambda _: ("127.0.0.1",))
        sender = Http1Sender(LOOPBACK, ca_file=str(tmp_path / "ca.pem"), resolver=names)
        for host in ("good.test", "good.test", "other.test", "other.test", "wrong.test"):
            outcome = await sender.post(f"https://{host}:{server.port}/", {}, b"x", deadline=LONG)
            assert outcome.kind is (OutcomeKind.TLS if host == "wrong.test" else OutcomeKind.STATUS)
        await sender.close()
        assert resumed[:4] == [False, True, False, True]
