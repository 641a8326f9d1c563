"""Our own engine from the inside: request bytes, many requests at once, TLS sessions."""

import asyncio
import gc
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, Peer, always, to
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import AddressPolicy, Http1Sender, PoolResolver
from video_translation_server.outbound.dial import plain_socket
from video_translation_server.outbound.request import Place, place_of, request_bytes
from video_translation_server.outbound.target import read_target

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
        {"accept-encoding": "gzip"},
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
