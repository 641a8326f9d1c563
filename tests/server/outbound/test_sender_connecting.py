"""Attempts that end before the request is sent: names, connects, refusals."""

import errno
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.server.outbound.conftest import MakeSender, Serve
from tests.server.outbound.servers import EMPTY_OK, LONG, SHORT, always, to
from video_translation_server.model import OutcomeKind
from video_translation_server.outbound import PoolResolver, Sender
from video_translation_server.outbound.dial import plain_socket


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken and not listening: a connect is refused, and nobody else gets it."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


async def test_refused(sender: Sender, closed_port: int) -> None:
    outcome = await sender.post(to(closed_port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.status, outcome.address) == (OutcomeKind.REFUSED, None, "127.0.0.1")
    assert outcome.detail == "the connection was refused"


async def test_connect_timeout(make_sender: MakeSender, full_port: int) -> None:
    outcome = await make_sender(connect_timeout=SHORT).post(to(full_port), {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.detail) == (OutcomeKind.CONNECT_TIMEOUT, f"no connection within {SHORT:g} s")
    outcome = await make_sender().post(to(full_port), {}, b"x", deadline=SHORT)
    assert outcome.kind is OutcomeKind.CONNECT_TIMEOUT
    assert outcome.detail == f"no connection within the attempt's {SHORT:g} s"


async def test_connect_failed(make_sender: MakeSender) -> None:
    def unreachable(family: int, address: str, port: int) -> socket.socket:
        raise OSError(errno.ENETUNREACH, "Network is unreachable", (family, address, port))

    outcome = await make_sender(open_socket=unreachable).post(to(80), {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.CONNECT_FAILED
    assert outcome.detail == "no connection: Network is unreachable"


async def test_the_systems_own_connect_timeout_is_one(make_sender: MakeSender) -> None:
    def gives_up(family: int, address: str, port: int) -> socket.socket:
        raise OSError(errno.ETIMEDOUT, "Connection timed out", (family, address, port))

    outcome = await make_sender(open_socket=gives_up).post(to(80), {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.CONNECT_TIMEOUT


async def test_all_addresses_of_a_name_are_tried_once_and_in_order(make_sender: MakeSender, serve: Serve) -> None:
    dialled = []

    def dial(family: int, address: str, port: int) -> socket.socket:
        dialled.append(address)
        return plain_socket(family, address, port)

    server = await serve(always(EMPTY_OK))
    names = PoolResolver(lookup=lambda _: ("127.0.0.3", "::1", "127.0.0.1", "127.0.0.4"))
    sender = make_sender(resolver=names, open_socket=dial)
    outcome = await sender.post(f"http://many.test:{server.port}/", {}, b"x", deadline=LONG)
    assert (outcome.status, outcome.address, outcome.detail) == (200, "127.0.0.1", "")
    assert dialled == ["127.0.0.3", "::1", "127.0.0.1"]


async def test_no_address_of_a_name_answers(make_sender: MakeSender, closed_port: int) -> None:
    sender = make_sender(resolver=PoolResolver(lookup=lambda _: ("127.0.0.1", "127.0.0.2")))
    outcome = await sender.post(f"http://many.test:{closed_port}/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.address) == (OutcomeKind.REFUSED, "127.0.0.2")
    assert outcome.detail == "the connection was refused; 127.0.0.1: the connection was refused"


async def test_dns(make_sender: MakeSender) -> None:
    def missing(host: str) -> tuple[str, ...]:
        raise socket.gaierror(socket.EAI_NONAME, f"Name or service not known: {host}")

    sender = make_sender(resolver=PoolResolver(lookup=missing))
    outcome = await sender.post("http://missing.test/", {}, b"x", deadline=LONG)
    assert (outcome.kind, outcome.address) == (OutcomeKind.DNS, None)
    assert outcome.detail == "the name was not resolved: Name or service not known: missing.test"


async def test_dns_without_an_answer_or_an_end(make_sender: MakeSender) -> None:
    release = threading.Event()

    def lookup(host: str) -> tuple[str, ...]:
        if host == "stuck.test":
            release.wait(LONG)
        return ()

    sender = make_sender(resolver=PoolResolver(lookup=lookup))
    try:
        outcome = await sender.post("http://stuck.test/", {}, b"x", deadline=SHORT)
    finally:
        release.set()
    assert outcome.kind is OutcomeKind.DNS
    assert outcome.detail == f"the name was not resolved within the attempt's {SHORT:g} s"
    outcome = await sender.post("http://empty.test/", {}, b"x", deadline=LONG)
    assert outcome.kind is OutcomeKind.DNS
    assert "has no address" in outcome.detail
