"""Fetching a file: whole, within limits, and never past the guard, wherever a redirect leads."""

import asyncio
import io
import re
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.server.outbound.conftest import Serve
from tests.server.outbound.servers import LONG, SHORT, Handler, Peer, to
from tests.server.outbound.test_hostile_targets import LITERALS, Recorder
from video_translation_server.outbound import AddressPolicy, Fetcher

MakeFetcher = Callable[..., Fetcher]
FILM = bytes(range(256)) * 40
REDIRECTS = [literal for literal in LITERALS if literal[1].isascii()][::5]
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(FILM) + FILM


@pytest.fixture
async def make_fetcher() -> AsyncIterator[MakeFetcher]:
    """Make a fetcher that may call loopback: `make_fetcher(**options)`."""
    async with AsyncExitStack() as stack:

        def make(policy: AddressPolicy | None = None, **options: Any) -> Fetcher:
            fetcher = Fetcher(policy or AddressPolicy(allow_loopback=True), **({"max_bytes": 1 << 20} | options))
            stack.push_async_callback(fetcher.close)
            return fetcher

        yield make


def saying(*pieces: bytes, heads: list[bytes] | None = None, then: Callable[[Peer], Any] | None = None) -> Handler:
    """A server that reads a request's head, says the pieces, and closes."""

    async def handle(peer: Peer) -> None:
        head = await peer.reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head)
        for piece in pieces:
            await peer.say(piece)
        if then is not None:
            await then(peer)

    return handle


async def fetched(fetcher: Fetcher, url: str, *, deadline: float = LONG) -> tuple[str | None, bytes]:
    target = io.BytesIO()
    return await fetcher.fetch(url, target, deadline=deadline), target.getvalue()


def redirect(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Moved\r\nLocation: {location}\r\nContent-Length: 5\r\n\r\nthere".encode()


async def test_the_file_comes_byte_for_byte(serve: Serve, make_fetcher: MakeFetcher) -> None:
    heads: list[bytes] = []
    server = await serve(saying(WHOLE, heads=heads))
    assert await fetched(make_fetcher(), to(server.port, "/a%20b.mp4?x=1#t=5")) == (None, FILM)
    [head] = heads
    assert head.startswith(b"GET /a%20b.mp4?x=1 HTTP/1.1\r\n")
    assert b"\r\nHost: 127.0.0.1:%d\r\n" % server.port in head
    assert b"Accept-Encoding: identity\r\n" in head
    assert b"Connection: close\r\n\r\n" in head
    assert b"Content-Length" not in head


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"".join(b"%x\r\n%b\r\n" % (100, FILM[at : at + 100]) for at in range(0, 10200, 100))
        + b"%x\r\n%b\r\n0\r\n\r\n" % (40, FILM[10200:]),
        b"HTTP/1.1 200 OK\r\n\r\n" + FILM,
        b"HTTP/1.1 103 Early Hints\r\nLocation: /else\r\nContent-Length: 99999999\r\n\r\n" + WHOLE,
    ],
    ids=["chunked", "until the end", "interim"],
)
async def test_however_it_is_framed(serve: Serve, make_fetcher: MakeFetcher, answer: bytes) -> None:
    server = await serve(saying(answer))
    assert await fetched(make_fetcher(), to(server.port)) == (None, FILM)


async def test_a_redirect_is_followed(serve: Serve, make_fetcher: MakeFetcher) -> None:
    heads: list[bytes] = []
    goal = await serve(saying(WHOLE, heads=heads))
    absolute = await serve(saying(redirect(f"{to(goal.port, '/film')}#part", 307)))
    first = await serve(saying(redirect(f"//127.0.0.1:{absolute.port}/next", 301)))
    assert await fetched(make_fetcher(), to(first.port)) == (None, FILM)
    assert heads[0].startswith(b"GET /film HTTP/1.1\r\n")


async def test_redirects_end(serve: Serve, make_fetcher: MakeFetcher) -> None:
    server = await serve(saying(redirect("/again")))
    assert await fetched(make_fetcher(), to(server.port)) == ("it redirects more than 3 times", b"")
    assert server.connections == 4


@pytest.mark.parametrize(("what", "host"), REDIRECTS)
async def test_no_redirect_leads_past_the_guard(serve: Serve, make_fetcher: MakeFetcher, what: str, host: str) -> None:
    """The first hop may be called, by a network of its own; where it leads may not."""
    server = await serve(saying(redirect(f"http://{host}:8/")), host="127.0.0.9")
    recorder = Recorder()
    policy = AddressPolicy.from_settings(["127.0.0.9/32"], loopback=False)

    def open_socket(family: int, address: str, port: int) -> Any:
        if address == "127.0.0.9":
            return socket.socket(family, socket.SOCK_STREAM)
        return recorder(family, address, port)

    fetcher = make_fetcher(policy, open_socket=open_socket)
    reason, content = await fetched(fetcher, f"http://127.0.0.9:{server.port}/")
    assert reason, what
    assert (content, recorder.dialled, server.connections) == (b"", [], 1), what


@pytest.mark.parametrize(("what", "host"), LITERALS)
async def test_a_forbidden_target_is_never_dialled(make_fetcher: MakeFetcher, what: str, host: str) -> None:
    recorder = Recorder()
    reason, _ = await fetched(make_fetcher(AddressPolicy(), open_socket=recorder), f"http://{host}:8/video.mp4")
    assert reason, what
    assert recorder.dialled == [], what


async def test_a_name_that_leads_inside_is_refused(make_fetcher: MakeFetcher) -> None:
    class Inside:
        async def resolve(self, host: str) -> tuple[str, ...]:
            assert host == "videos.example"
            return ("93.184.216.34", "10.0.0.8")

        async def close(self) -> None:
            """Nothing to free."""

    recorder = Recorder()
    fetcher = make_fetcher(AddressPolicy(), resolver=Inside(), open_socket=recorder)
    reason, _ = await fetched(fetcher, "https://videos.example/a.mp4")
    assert reason is not None
    assert "10.0.0.8 is private" in reason
    assert recorder.dialled == []


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("ftp://example.com/a.mp4", "the scheme 'ftp'"),
        ("file:///etc/passwd", "the scheme 'file'"),
        ("http://user:secret@127.0.0.1/", "credentials"),
        ("http://[::1", "no URL"),
        ("/a b", "U\\+0020"),
    ],
)
async def test_a_redirect_to_what_is_no_address_is_refused(
    serve: Serve, make_fetcher: MakeFetcher, location: str, reason: str
) -> None:
    server = await serve(saying(redirect(location)))
    found, _ = await fetched(make_fetcher(), to(server.port))
    assert found is not None
    assert re.search(reason, found)


async def test_a_redirect_without_a_place_is_only_an_answer(serve: Serve, make_fetcher: MakeFetcher) -> None:
    server = await serve(saying(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"))
    assert await fetched(make_fetcher(), to(server.port)) == ("it answers 302", b"")


@pytest.mark.parametrize("status", [204, 206, 404, 500])
async def test_only_200_is_the_file(serve: Serve, make_fetcher: MakeFetcher, status: int) -> None:
    server = await serve(saying(b"HTTP/1.1 %d Words\r\nContent-Length: 4\r\n\r\npage" % status))
    assert await fetched(make_fetcher(), to(server.port)) == (f"it answers {status}", b"")


async def test_a_file_that_says_it_is_too_long_is_not_begun(serve: Serve, make_fetcher: MakeFetcher) -> None:
    server = await serve(saying(WHOLE))
    reason, content = await fetched(make_fetcher(max_bytes=len(FILM) - 1), to(server.port))
    assert (reason, content) == (f"it has more than {len(FILM) - 1} bytes", b"")
    assert (await fetched(make_fetcher(max_bytes=len(FILM)), to(server.port)))[0] is None


async def test_one_that_turns_out_too_long_is_cut(serve: Serve, make_fetcher: MakeFetcher) -> None:
    async def for_ever(peer: Peer) -> None:
        while True:
            await peer.say(FILM)

    server = await serve(saying(b"HTTP/1.1 200 OK\r\n\r\n", then=for_ever))
    reason, content = await fetched(make_fetcher(max_bytes=50_000), to(server.port))
    assert reason == "it has more than 50000 bytes"
    assert len(content) <= 50_000


async def test_the_deadline_holds_for_all_of_it(serve: Serve, make_fetcher: MakeFetcher) -> None:
    async def drip(peer: Peer) -> None:
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.01)

    server = await serve(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", then=drip))
    first = await serve(saying(redirect(to(server.port))))
    reason, _ = await fetched(make_fetcher(), to(first.port), deadline=SHORT)
    assert reason == f"the answer's body did not end within the attempt's {SHORT:g} s"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (WHOLE[:-1], "the connection was closed in the middle of the answer's body"),
        (b"", "the connection was closed before any byte of the answer"),
        (b"no HTTP at all\r\n\r\n", "the answer is not valid HTTP"),
    ],
    ids=["short", "nothing", "not HTTP"],
)
async def test_what_breaks_off_is_no_file(serve: Serve, make_fetcher: MakeFetcher, answer: bytes, reason: str) -> None:
    server = await serve(saying(answer))
    found, _ = await fetched(make_fetcher(), to(server.port))
    assert found is not None
    assert found.startswith(reason)


async def test_nobody_there(serve: Serve, make_fetcher: MakeFetcher) -> None:
    server = await serve(saying())
    await server.stop()
    found, _ = await fetched(make_fetcher(), to(server.port))
    assert found is not None
    assert "refused" in found


async def test_a_disk_that_is_full_is_told(serve: Serve, make_fetcher: MakeFetcher) -> None:
    class Full(io.BytesIO):
        def write(self, _: Any) -> int:
            raise OSError(28, "No space left on device")

    server = await serve(saying(WHOLE))
    reason = await make_fetcher().fetch(to(server.port), Full(), deadline=LONG)
    assert reason == "the server cannot keep it: No space left on device"


async def test_one_who_leaves_takes_the_connection_along(serve: Serve, make_fetcher: MakeFetcher) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def wait(peer: Peer) -> None:
        begun.set()
        await peer.eof()
        gone.set()

    server = await serve(saying(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", then=wait))
    fetching = asyncio.create_task(fetched(make_fetcher(), to(server.port)))
    async with asyncio.timeout(LONG):
        await begun.wait()
        fetching.cancel()
        await gone.wait()
    with pytest.raises(asyncio.CancelledError):
        await fetching


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def test_a_certificate_is_asked_for(serve: Serve, make_fetcher: MakeFetcher, tls: ssl.SSLContext) -> None:
    server = await serve(saying(WHOLE), tls=tls)
    found, content = await fetched(make_fetcher(), f"https://localhost:{server.port}/")
    assert found is not None
    assert "certificate" in found
    assert content == b""


async def test_no_redirect_leads_out_of_tls(
    serve: Serve, make_fetcher: MakeFetcher, authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    fetcher = make_fetcher(ca_file=str(ca_file))
    plain = await serve(saying(WHOLE))
    first = await serve(saying(redirect(to(plain.port))), tls=tls)
    url = f"https://localhost:{first.port}/"
    assert await fetched(fetcher, url) == ("it redirects from https to http", b"")
    secure = await serve(saying(WHOLE), tls=tls)
    upgrade = await serve(saying(redirect(f"https://localhost:{secure.port}/")))
    assert await fetched(fetcher, to(upgrade.port)) == (None, FILM)
