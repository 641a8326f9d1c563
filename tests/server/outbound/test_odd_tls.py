"""Odd servers behind TLS, or in its place, over both engines: the class of the outcome for each."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import ssl
from pathlib import Path

import pytest
import trustme

from tests.server.outbound.conftest import MakeSender, Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, Peer, a_moment, always
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import PoolResolver

AUTHORITY = trustme.CA()
CLOSE = b"\x15\x03\x03\x00\x02\x01\x00"


def alert(number: int) -> bytes:
    """A fatal alert before anything is encrypted."""
    return bytes([0x15, 3, 3, 0, 2, 2, number])


INSTEAD = {
    "handshake-failure": alert(40),
    "protocol-version": alert(70),
    "internal-error": alert(80),
    "unrecognized-name": alert(112),
    "no-application-protocol": alert(120),
    "goodbye": CLOSE,
    "garbage": b"\xff" * 600,
    "zeros": bytes(600),
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http": b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n",
    "answer": EMPTY_OK,
    "record-too-long": b"\x16\x03\x03\xff\xff" + bytes(70_000),
    "empty-record": b"\x16\x03\x03\x00\x00",
    "data-before-keys": b"\x17\x03\x03\x00\x05hello",
    "half-a-server-hello": b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03",
}


@pytest.mark.parametrize("said", INSTEAD.values(), ids=INSTEAD)
async def test_what_is_no_handshake(make_sender: MakeSender, serve: Serve, said: bytes) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(65536)
        await peer.say(said)

    server = await serve(handle)
    outcome = await make_sender().post(f"https://127.0.0.1:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.address) == (OutcomeKind.TLS, None, "127.0.0.1")
    assert outcome.detail
    assert server.connections == 1


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(str(path))
    return str(path)


def names() -> PoolResolver:
    return PoolResolver(lookup=lambda _: ("127.0.0.1",))


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


@dataclasses.dataclass(frozen=True)
class Certificate:
    """What a server shows, and whether it proves that it is a.good.test."""

    name: str
    shown: trustme.LeafCert
    proves: bool = False


def issued(*hosts: str, frm: int = -1, till: int = 1) -> trustme.LeafCert:
    """A certificate that is valid between these days from now on."""
    now = dt.datetime.now(tz=dt.UTC)
    return AUTHORITY.issue_cert(
        *hosts, not_before=now + dt.timedelta(days=frm), not_after=now + dt.timedelta(days=till)
    )


CERTIFICATES = [
    Certificate("its-name", issued("a.good.test"), proves=True),
    Certificate("one-of-its-names", issued("x.test", "a.good.test"), proves=True),
    Certificate("wildcard", issued("*.good.test"), proves=True),
    Certificate("by-an-intermediate", AUTHORITY.create_child_ca().issue_cert("a.good.test"), proves=True),
    Certificate("wildcard-of-the-parent", issued("*.test")),
    Certificate("parent", issued("good.test")),
    Certificate("child", issued("b.a.good.test")),
    Certificate("longer", issued("a.good.test.evil.test")),
    Certificate("address-it-is-at", issued("127.0.0.1")),
    Certificate("expired", issued("a.good.test", frm=-3, till=-2)),
    Certificate("not-yet-valid", issued("a.good.test", frm=2, till=3)),
    Certificate("unknown-authority", trustme.CA().issue_cert("a.good.test")),
]


@pytest.mark.parametrize("certificate", CERTIFICATES, ids=[one.name for one in CERTIFICATES])
async def test_certificates(make_sender: MakeSender, serve: Serve, ca_file: str, certificate: Certificate) -> None:
    server = await serve(always(EMPTY_OK), tls=server_side(certificate.shown))
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://a.good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.kind is (OutcomeKind.STATUS if certificate.proves else OutcomeKind.TLS)
    assert certificate.proves or outcome.detail.startswith("certificate refused: ")


@pytest.mark.parametrize("offered", [["h2", "http/1.1"], ["http/1.1"], []], ids=["both", "http/1.1", "none"])
async def test_http_1_1_is_the_only_protocol_that_is_asked_for(
    make_sender: MakeSender, serve: Serve, ca_file: str, offered: list[str]
) -> None:
    tls = server_side(issued("a.good.test"))
    tls.set_alpn_protocols(offered)
    chosen: list[str | None] = []

    async def handle(peer: Peer) -> None:
        chosen.append(peer.writer.get_extra_info("ssl_object").selected_alpn_protocol())
        await peer.request()
        await peer.say(EMPTY_OK)
        await peer.eof()

    server = await serve(handle, tls=tls)
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://a.good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.status == 200
    assert chosen == ["http/1.1" if offered else None]


@pytest.mark.parametrize(
    ("part", "status"),
    [(b"", None), (b"HTTP/1.1 200 OK\r\nX", None), (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", 200)],
    ids=["before", "headers", "body"],
)
async def test_a_reset_behind_the_handshake(
    make_sender: MakeSender, serve: Serve, ca_file: str, part: bytes, status: int | None
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(part)
        await a_moment()  # an RST overtakes bytes that the other side has not read yet
        peer.reset()

    server = await serve(handle, tls=server_side(issued("a.good.test")))
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://a.good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status) == (OutcomeKind.RESET, status)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Byte by byte, each in a segment of its own."""
    with contextlib.suppress(ConnectionError):
        while byte := await reader.read(1):
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()


async def test_a_connection_that_carries_a_byte_at_a_time(make_sender: MakeSender, serve: Serve, ca_file: str) -> None:
    behind = await serve(always(EMPTY_OK), tls=server_side(issued("a.good.test")))

    async def handle(peer: Peer) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", behind.port)
        try:
            await asyncio.gather(pass_on(peer.reader, writer), pass_on(reader, peer.writer))
        finally:
            writer.close()

    server = await serve(handle)
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://a.good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status) == (OutcomeKind.STATUS, 200)
