from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.client.fake_server import Answer, FakeServer, error
from tests.waiting import PATIENCE
from video_translation_client import (
    APIError,
    ClientClosedError,
    RateLimitError,
    ServerError,
    ServerUnreachableError,
)
from video_translation_client._async_transport import AsyncTransport
from video_translation_client._base_urls import BaseUrls
from video_translation_client._exchange import Terms
from video_translation_client._limiter import Limiter
from video_translation_client._metrics import Meter
from video_translation_client._operations import Operation, create_translation, get_job, get_status
from video_translation_client._options import Options
from video_translation_client._retry import RetryPolicy
from video_translation_client._transport import Transport

QUICK = RetryPolicy(first=0.001, cap=0.001)
Send = Callable[..., Awaitable[Any]]


def terms(*urls: str, **more: Any) -> Terms:
    return Terms(BaseUrls(urls), Meter(), **({"policy": QUICK} | more))


class Both:
    """Sends with one of the two transports, so that a test runs for each."""

    def __init__(self, kind: str, shared: Terms) -> None:
        self.blocking = Transport(shared)
        self.awaited = AsyncTransport(shared)
        self._kind = kind
        self.terms = shared

    async def send(self, operation: Operation[Any], options: Options | None = None) -> Any:
        if self._kind == "async":
            return await self.awaited.send(operation, options=options)
        return await asyncio.to_thread(self.blocking.send, operation, options=options)

    async def close(self) -> None:
        self.blocking.close()
        await self.awaited.aclose()


@pytest.fixture(params=["blocking", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as bound:  # nobody listens on it, and nobody else gets it
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@contextlib.asynccontextmanager
async def sender(kind: str, shared: Terms) -> Any:
    both = Both(kind, shared)
    try:
        yield both
    finally:
        await both.close()


def scripted(*answers: Answer | None) -> Callable[[], Answer | None]:
    rest = list(answers)
    return lambda: rest.pop(0) if rest else None


async def test_what_passes_is_repeated_with_one_key_for_all_tries(server: FakeServer, kind: str) -> None:
    server.overrides["translate"] = scripted(error(500, "x"), error(429, "x"), error(409, "request_in_progress"))
    async with sender(kind, terms(server.url, options=Options(max_retries=3))) as both:
        assert await both.send(create_translation("https://v", ["French"], {})) == ("vt_1",)
        keys = [headers["idempotency-key"] for headers in server.headers]
        assert (len(keys), len(set(keys))) == (4, 1)
        assert both.terms.meter.snapshot().retries == 3
        await both.send(create_translation("https://v", ["French"], {}))
        await both.send(create_translation("https://v", ["French"], {}), Options(idempotency_key="mine"))
        assert server.headers[4]["idempotency-key"] not in keys
        assert server.headers[5]["idempotency-key"] == "mine"
        responses = both.terms.meter.snapshot().responses["create_translation"]
        assert (responses.answered, responses.refused, responses.unanswered) == (6, 3, 0)


async def test_retries_end_and_what_stays_is_not_repeated(server: FakeServer, kind: str) -> None:
    job_id = server.new_job()
    async with sender(kind, terms(server.url)) as both:
        server.overrides["job"] = lambda: error(500, "internal_error")
        with pytest.raises(ServerError):
            await both.send(get_job(job_id))
        assert server.count("job") == 3
        server.overrides["job"] = lambda: error(409, "conflict")
        with pytest.raises(APIError):
            await both.send(get_job(job_id))
        assert server.count("job") == 4
        server.overrides["job"] = lambda: error(500, "internal_error")
        with pytest.raises(ServerError):
            await both.send(get_job(job_id), Options(max_retries=0))
        assert server.count("job") == 5


async def test_a_hint_beyond_all_patience_goes_to_the_caller(server: FakeServer, kind: str) -> None:
    server.overrides["status"] = lambda: error(429, "rate_limit_exceeded")
    server.answer_headers["retry-after"] = "31"
    async with sender(kind, terms(server.url)) as both:
        with pytest.raises(RateLimitError) as caught:
            await both.send(get_status())
    assert (caught.value.retry_after, server.count("status")) == (31.0, 1)


def test_a_background_thread_does_not_sit_out_a_hint(server: FakeServer) -> None:
    server.overrides["status"] = scripted(error(500, "x"), error(429, "rate_limit_exceeded"))
    transport = Transport(terms(server.url))
    view = transport.in_background()
    server.answer_headers["retry-after"] = "2"
    with pytest.raises(ServerError) as caught:
        view.send(get_status())
    assert (caught.value.retry_after, server.count("status")) == (2.0, 1)
    transport.close()
    with pytest.raises(ClientClosedError):
        view.send(get_status())


async def test_another_server_is_asked_at_once_and_kept(server: FakeServer, closed_port: int, kind: str) -> None:
    job_id = server.new_job()
    shared = terms(f"http://127.0.0.1:{closed_port}", server.url, options=Options(max_retries=0))
    async with sender(kind, shared) as both:
        assert (await both.send(get_job(job_id))).id == job_id
        assert (await both.send(get_job(job_id))).id == job_id
        assert shared.urls.current() == server.url
        assert shared.meter.snapshot().responses["get_job"].unanswered == 1


async def test_a_server_that_says_it_is_away_is_left_for_another(server: FakeServer, kind: str) -> None:
    other = FakeServer().start()
    try:
        job_id = other.new_job()
        server.overrides["job"] = lambda: error(503, "internal_error")
        async with sender(kind, terms(server.url, other.url, options=Options(max_retries=0))) as both:
            assert (await both.send(get_job(job_id))).id == job_id
            assert (server.count("job"), other.count("job")) == (1, 1)
            other.overrides["job"] = lambda: error(502, "internal_error")
            with pytest.raises(ServerError):
                await both.send(get_job(job_id))
            assert (server.count("job"), other.count("job")) == (2, 2)
    finally:
        other.stop()


async def test_no_server_at_all_is_named_with_every_url(closed_port: int, kind: str) -> None:
    urls = (f"http://127.0.0.1:{closed_port}", f"http://localhost:{closed_port}")
    async with sender(kind, terms(*urls)) as both:
        with pytest.raises(ServerUnreachableError) as caught:
            await both.send(get_status())
    assert all(url in str(caught.value) for url in urls)
    assert isinstance(caught.value, ConnectionError)


async def test_headers_of_client_and_call_are_sent_and_never_logged(
    server: FakeServer, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "video_translation_client")
    server.new_job()
    server.overrides["status"] = scripted(error(500, "x"))
    secret = Options(headers={"Authorization": "Bearer hidden", "X-Team": "a"})
    shared = terms(server.url, api_key="sk_hidden", options=secret)
    async with sender(kind, shared) as both:
        await both.send(get_status(), Options(headers={"x-team": "b"}))
    sent = server.headers[-1]
    assert (sent["authorization"], sent["x-team"], sent["x-api-key"]) == ("Bearer hidden", "b", "sk_hidden")
    assert sent["user-agent"].startswith("video-translation-client/")
    course = shared.begin(get_status())
    assert "hidden" not in caplog.text + repr(shared) + repr(course) + repr(course.request())


async def test_a_limiter_makes_requests_wait_their_turn(server: FakeServer, kind: str) -> None:
    server.new_job()
    shared = terms(server.url, limiter=Limiter(50.0, burst=1.0))
    async with sender(kind, shared) as both:
        began = asyncio.get_running_loop().time()
        for _ in range(4):
            await both.send(get_status())
        assert asyncio.get_running_loop().time() - began >= 0.055


async def test_a_silent_server_is_given_up_in_time(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        shared = terms(f"http://127.0.0.1:{silent.getsockname()[1]}", options=Options(0.05, 0))
        async with sender(kind, shared) as both:
            with pytest.raises(ServerUnreachableError, match="no answer"):
                await both.send(get_status())


async def test_an_answer_that_trickles_in_is_given_up_in_time(kind: str) -> None:
    stop = threading.Event()

    def trickle() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
            while not stop.wait(0.02):
                connection.sendall(b" ")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=trickle, daemon=True)
        thread.start()
        shared = terms(f"http://127.0.0.1:{listener.getsockname()[1]}", options=Options(0.1, 0))
        async with sender(kind, shared) as both:
            with pytest.raises(ServerUnreachableError, match="in time"):
                await both.send(get_status())
        stop.set()
        await asyncio.to_thread(thread.join, 5)


async def test_a_closed_transport_says_so(server: FakeServer, kind: str) -> None:
    both = Both(kind, terms(server.url))
    await both.close()
    with pytest.raises(ClientClosedError):
        await both.send(get_status())


async def test_a_cancelled_request_leaves_nothing_open(server: FakeServer) -> None:
    release = threading.Event()
    server.new_job()
    server.overrides["status"] = lambda: error(500, "x") if not release.wait(PATIENCE) else None
    shared = terms(server.url, limiter=Limiter(0.01, burst=1.0))
    async with sender("async", shared) as both:
        task = asyncio.create_task(both.send(get_status()))
        waiting = asyncio.create_task(both.send(get_status()))
        await asyncio.to_thread(server.wait_for, lambda: server.count("status") == 1)
        task.cancel()
        waiting.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
        release.set()
        assert (task.cancelled(), waiting.cancelled()) == (True, True)
        pool = both.awaited._client._transport._pool
        assert pool.connections == []
        assert server.count("status") == 1
        assert shared.limiter.reserve() <= 100.0  # the place in the queue was given back


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_async_transport_outlives_its_event_loop(server: FakeServer) -> None:
    server.new_job()
    transport = AsyncTransport(terms(server.url))
    for _ in range(2):
        assert asyncio.run(transport.send(get_status())).id == "vt_1"
    asyncio.run(transport.aclose())
    del transport
    gc.collect()  # the connections of a loop that nobody closed end here, and are named as such


async def test_a_given_http_client_is_used_and_left_open(server: FakeServer) -> None:
    server.new_job()
    with httpx.Client(headers={"x-mine": "1"}) as mine:
        transport = Transport(terms(server.url), mine)
        await asyncio.to_thread(transport.send, get_status())
        transport.close()
        assert not mine.is_closed
    async with httpx.AsyncClient(headers={"x-mine": "1"}) as mine_too:
        awaited = AsyncTransport(terms(server.url), mine_too)
        await awaited.send(get_status())
        await awaited.aclose()
        assert not mine_too.is_closed
    assert [headers["x-mine"] for headers in server.headers] == ["1", "1"]


# --- streams ------------------------------------------------------------------------------------------


def test_a_stream_is_read_as_it_comes_and_ended_from_another_thread() -> None:
    sent = threading.Event()
    asked: list[bytes] = []

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            asked.append(connection.recv(65536).lower())
            connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n: hi\n\r\n")
            sent.wait(PATIENCE)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        transport = Transport(terms(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        with transport.stream(get_status(), after="cur_7", silence=5.0) as stream:
            chunks = stream.chunks()
            assert next(chunks) == b": hi\n"
            assert b"last-event-id: cur_7" in asked[0]
            assert b"accept: text/event-stream" in asked[0]
            threading.Timer(0.02, stream.cut).start()
            with pytest.raises(ServerUnreachableError, match="broke off"):
                next(chunks)
        sent.set()
        thread.join(PATIENCE)
        transport.close()


def test_a_refused_stream_is_an_error_of_the_tree(server: FakeServer, closed_port: int) -> None:
    transport = Transport(terms(server.url))
    with pytest.raises(APIError, match="404"), transport.stream(get_status(), after="cur_7", silence=5.0):
        pass
    transport.close()
    transport = Transport(terms(f"http://127.0.0.1:{closed_port}"))
    with pytest.raises(ServerUnreachableError), transport.stream(get_status(), after="cur_7", silence=5.0):
        pass
    transport.close()
