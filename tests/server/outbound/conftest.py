"""Servers to call and senders to call them with, each engine in turn; all are closed when a test ends."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
import trustme
import uvloop

from tests.server.outbound.aiohttp_engine.sender import AiohttpSender
from tests.server.outbound.audit import Audit, hearing
from tests.server.outbound.servers import Handler, Server, a_full_port
from video_translation_server.outbound import AddressPolicy, Http1Sender, Sender

Serve = Callable[..., Coroutine[Any, Any, Server]]
MakeSender = Callable[..., Sender]
Move = Callable[[float], Coroutine[Any, Any, None]]
LoopFactories = dict[str, Callable[[], asyncio.AbstractEventLoop]]
ENGINES: dict[str, Callable[..., Sender]] = {"aiohttp": AiohttpSender, "http1": Http1Sender}


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> LoopFactories:
    """Whatever meets the network runs on both event loops; the table of hostile targets does not meet it."""
    del config
    factories: LoopFactories = {"asyncio": asyncio.new_event_loop}
    names = set(getattr(item, "fixturenames", ()))
    # The clock of uvloop cannot be moved.
    if {"make_sender", "serve"} & names and "move" not in names and item.path.name != "test_hostile_targets.py":
        factories["uvloop"] = uvloop.new_event_loop
    return factories


@pytest.fixture(scope="session", autouse=True)
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One root that nobody shows a certificate of: to read the machine's hundreds takes longer than a test."""
    file = tmp_path_factory.mktemp("roots") / "roots.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(file))
        yield


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    """The engine that a test runs on: the product's, and the one that it is judged by."""
    return str(request.param)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a server: `await serve(handler)`."""
    async with contextlib.AsyncExitStack() as stack:

        async def start(handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> Server:
            server = Server(handler)
            await server.start(host, tls)
            stack.push_async_callback(server.stop)
            return server

        yield start


@pytest.fixture
async def make_sender(engine: str) -> AsyncIterator[MakeSender]:
    """Make a sender that may call loopback: `make_sender(**options)`."""
    async with contextlib.AsyncExitStack() as stack:

        def make(policy: AddressPolicy | None = None, **options: Any) -> Sender:
            sender = ENGINES[engine](policy or AddressPolicy(allow_loopback=True), **options)
            stack.push_async_callback(sender.close)
            return sender

        yield make


@pytest.fixture
async def sender(make_sender: MakeSender) -> Sender:
    """A sender that may call loopback, with the defaults."""
    return make_sender()


@pytest.fixture
async def move(monkeypatch: pytest.MonkeyPatch) -> Move:
    """Move the event loop's clock on by so many seconds: `await move(60)`. What was due by then has run."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0

    async def forward(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds
        for _ in range(3):
            await asyncio.sleep(0)

    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    return forward


@pytest.fixture
async def full_port() -> AsyncIterator[int]:
    """A port on which nobody answers a connect."""
    async with a_full_port() as port:
        yield port


@pytest.fixture
def audit() -> Iterator[Audit]:
    """Whom the test connects to, and what it looks up."""
    with hearing() as heard:
        yield heard
