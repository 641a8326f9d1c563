"""TLS: verified by name against the roots, and every way in which that fails has its words."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
from pathlib import Path

import pytest
import trustme

from tests.server.outbound.conftest import MakeSender, Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, SHORT, Peer, a_moment, always
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import PoolResolver


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def names() -> PoolResolver:
    return PoolResolver(lookup=lambda _: ("127.0.0.1",))


@pytest.mark.parametrize("host", ["good.test", "127.0.0.1", "GOOD.test."])
async def test_the_right_authority_passes_and_the_connection_is_reused(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str, host: str
) -> None:
    tls = server_side(authority.issue_cert("good.test", "127.0.0.1"))
    asked: list[str | None] = []
    tls.sni_callback = lambda _sock, name, _context: asked.append(name)
    server = await serve(always(EMPTY_OK), tls=tls)
    sender = make_sender(ca_file=ca_file, resolver=names())
    for _ in range(2):
        outcome = await sender.post(f"https://{host}:{server.port}/", {}, b"x", deadline=LONG)
        assert (outcome.kind, outcome.status) == (OutcomeKind.STATUS, 200)
        assert outcome.address == "127.0.0.1"
    assert server.connections == 1
    assert asked == [None if host == "127.0.0.1" else "good.test"]


async def test_an_unknown_authority(make_sender: MakeSender, serve: Serve, authority: trustme.CA) -> None:
    server = await serve(always(EMPTY_OK), tls=server_side(authority.issue_cert("good.test")))
    sender = make_sender(resolver=names())
    outcome = await sender.post(f"https://good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.address) == (OutcomeKind.TLS, "127.0.0.1")
    assert outcome.detail == "certificate refused: unable to get local issuer certificate"


@pytest.mark.parametrize("host", ["wrong.test", "127.0.0.1"])
async def test_a_wrong_name(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str, host: str
) -> None:
    server = await serve(always(EMPTY_OK), tls=server_side(authority.issue_cert("good.test")))
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://{host}:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.TLS
    assert outcome.detail.startswith("certificate refused: ")
    assert "mismatch" in outcome.detail
    assert host in outcome.detail


async def test_an_expired_certificate(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    old = authority.issue_cert("good.test", not_before=past, not_after=past + dt.timedelta(days=1))
    server = await serve(always(EMPTY_OK), tls=server_side(old))
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.detail) == (
        OutcomeKind.TLS,
        "certificate refused: certificate has expired",
    )


async def test_a_plain_server_where_tls_is_expected(make_sender: MakeSender, serve: Serve) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(100)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await serve(handle)
    outcome = await make_sender().post(f"https://127.0.0.1:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.TLS
    assert outcome.detail.startswith("TLS failed: ")


@pytest.mark.parametrize("hard", [False, True], ids=["fin", "rst"])
async def test_a_connection_that_ends_in_the_handshake(make_sender: MakeSender, serve: Serve, hard: bool) -> None:
    async def handle(peer: Peer) -> None:
        await peer.reader.read(100)
        if hard:
            peer.reset()

    server = await serve(handle)
    outcome = await make_sender().post(f"https://127.0.0.1:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.TLS
    assert "closed during the TLS handshake" in outcome.detail


@pytest.mark.parametrize(("connect", "deadline"), [(SHORT, LONG), (LONG, SHORT)])
async def test_a_handshake_that_does_not_end(
    make_sender: MakeSender, serve: Serve, connect: float, deadline: float
) -> None:
    ended = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.eof()
        ended.set()

    server = await serve(handle)
    sender = make_sender(connect_timeout=connect)
    outcome = await sender.post(f"https://127.0.0.1:{server.port}/", {}, b"x", deadline=deadline)
    assert outcome.kind is OutcomeKind.TLS
    assert outcome.detail.startswith("the TLS handshake did not end within")
    await asyncio.wait_for(ended.wait(), LONG)


def refuse_without_a_certificate(listening: socket.socket, tls: ssl.SSLContext) -> None:
    """One TLS connection in a thread: after its alert it reads to the end, so that no RST overtakes it."""
    accepted = listening.accept()[0]
    with tls.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as conn:
        with contextlib.suppress(ssl.SSLError):
            conn.do_handshake()
        with socket.socket(fileno=conn.detach()) as plain:
            while plain.recv(65536):
                pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_wants_a_client_certificate(
    make_sender: MakeSender, authority: trustme.CA, ca_file: str, version: ssl.TLSVersion
) -> None:
    tls = server_side(authority.issue_cert("good.test"))
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.minimum_version = tls.maximum_version = version
    sender = make_sender(ca_file=ca_file, resolver=names())
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(refuse_without_a_certificate, listening, tls))
        url = f"https://good.test:{listening.getsockname()[1]}/"
        outcome = await sender.post(url, {}, b"x", deadline=LONG)
        await serving
    assert (outcome.kind, outcome.status) == (OutcomeKind.TLS, None)
    assert outcome.detail.startswith("TLS failed: ")


async def test_an_old_protocol_version_is_refused(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    tls = server_side(authority.issue_cert("good.test"))
    tls.set_alpn_protocols(["h2"])
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        tls.minimum_version = tls.maximum_version = ssl.TLSVersion.TLSv1_1
    server = await serve(always(EMPTY_OK), tls=tls)
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.TLS


async def test_a_reused_tls_connection_that_closes_early_is_resent(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(EMPTY_OK)
        await peer.request()

    server = await serve(handle, tls=server_side(authority.issue_cert("good.test")))
    sender = make_sender(ca_file=ca_file, resolver=names())
    for _ in range(2):
        outcome = await sender.post(f"https://good.test:{server.port}/", {}, b"x", deadline=LONG)
        assert outcome.status == 200
    assert server.connections == 2


async def test_an_endless_body_is_cut_at_once(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str
) -> None:
    closed = asyncio.Event()

    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        with contextlib.suppress(OSError):
            while True:
                await peer.say(b"a" * 4096)
        closed.set()

    server = await serve(handle, tls=server_side(authority.issue_cert("good.test")))
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, len(outcome.body)) == (OutcomeKind.STATUS, 200, 2048)
    await asyncio.wait_for(closed.wait(), LONG)


@pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n", b""], ids=["length", "until-close"])
async def test_a_tls_connection_that_ends_without_a_goodbye(
    make_sender: MakeSender, serve: Serve, authority: trustme.CA, ca_file: str, framing: bytes
) -> None:
    async def handle(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\nh")
        await a_moment()
        # Below TLS: a FIN, and no close_notify before it.
        peer.writer.get_extra_info("socket").shutdown(socket.SHUT_WR)
        await a_moment()

    server = await serve(handle, tls=server_side(authority.issue_cert("good.test")))
    sender = make_sender(ca_file=ca_file, resolver=names())
    outcome = await sender.post(f"https://good.test:{server.port}/", {}, b"x", deadline=LONG)
    assert outcome.kind is (OutcomeKind.RESET if framing else OutcomeKind.STATUS)
    assert (outcome.status, outcome.body) == (200, b"h")
