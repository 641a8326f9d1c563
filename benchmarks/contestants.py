"""Those whom the engine is measured against, each run by a child process: they only POST, nothing is kept.

`aiohttp_loop` is the baseline, tuned as far as its public options go; `naive_httpx` is what one writes first; `limit`
is the least that a POST with its answer can cost in Python; `bare_posts` waits for each answer and tells its round
trip; `flood` sends as fast as it can without reading answers closely, to see what the receiver can take.
"""

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from typing import Any, cast

from benchmarks.meter import Meter, run
from benchmarks.traffic import Post, Shape, posts


def aiohttp_loop(*, shape: dict[str, Any], in_flight: int) -> dict[str, Any]:
    """POST everything with bare aiohttp, `in_flight` at a time."""
    return run(_aiohttp_loop(_prepared(shape), in_flight))


async def _aiohttp_loop(requests: list[Post], in_flight: int) -> dict[str, Any]:
    import aiohttp  # noqa: PLC0415  (only this child needs it)
    from yarl import URL  # noqa: PLC0415

    urls = {post.url: URL(post.url) for post in requests}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
    ) as session:

        async def send(post: Post) -> int:
            async with session.post(urls[post.url], data=post.body, headers=post.headers) as response:
                await response.read()
                return response.status

        return await _timed(requests, send, in_flight)


def naive_httpx(*, shape: dict[str, Any], in_flight: int) -> dict[str, Any]:
    """POST everything with an httpx.AsyncClient as it comes, `in_flight` at a time."""
    return run(_naive_httpx(_prepared(shape), in_flight))


async def _naive_httpx(requests: list[Post], in_flight: int) -> dict[str, Any]:
    import httpx  # noqa: PLC0415  (only this child needs it)

    async with httpx.AsyncClient() as client:

        async def send(post: Post) -> int:
            return (await client.post(post.url, content=post.body, headers=post.headers)).status_code

        return await _timed(requests, send, in_flight)


def _prepared(shape: dict[str, Any]) -> list[Post]:
    requests = posts(Shape(**shape), time.time())
    gc.freeze()  # the collector shall not walk over what only the benchmark keeps
    return requests


async def _timed(requests: list[Post], send: Callable[[Post], Awaitable[int]], in_flight: int) -> dict[str, Any]:
    waiting = iter(requests)
    meter = Meter()
    async with asyncio.TaskGroup() as group:
        for _ in range(in_flight):
            group.create_task(_one_by_one(waiting, send))
    return meter.stop(len(requests))


async def _one_by_one(waiting: Iterator[Post], send: Callable[[Post], Awaitable[int]]) -> None:
    for post in waiting:
        status = await send(post)
        if status != HTTPStatus.NO_CONTENT:
            raise RuntimeError(f"the receiver answered {status}")


def bare_posts(*, port: int, per_second: float, seconds: float, seed: int) -> dict[str, Any]:
    """The round trips, seconds each, of one POST after the other at a pace, over one kept connection."""
    return run(_bare_posts(Shape(deliveries=1, endpoints=1, fan_out=1, port=port, seed=seed), per_second, seconds))


async def _bare_posts(shape: Shape, per_second: float, seconds: float) -> dict[str, Any]:
    import aiohttp  # noqa: PLC0415  (only this child needs it)

    post, trips = posts(shape, time.time())[0], list[float]()
    async with aiohttp.ClientSession() as session:
        begin = time.perf_counter()
        for number in range(int(per_second * seconds) + 1):
            await asyncio.sleep(begin + number / per_second - time.perf_counter())
            started = time.perf_counter()
            async with session.post(post.url, data=post.body, headers=post.headers) as response:
                await response.read()
            trips.append(time.perf_counter() - started)
    return {"trips": trips[1:]}  # the first one opened the connection


def limit(*, shape: dict[str, Any], in_flight: int) -> dict[str, Any]:
    """POST everything over kept connections, and have httptools read each answer: no pool, no deadline, no guard."""
    return run(_over_lines(_Reading, [_raw(post) for post in _prepared(shape)], in_flight, shape["port"]))


def flood(*, shape: dict[str, Any], in_flight: int) -> dict[str, Any]:
    """POST everything over raw connections, one request at a time on each."""
    return run(_over_lines(_Flooding, [_raw(post) for post in _prepared(shape)], in_flight, shape["port"]))


class _Work:
    """The requests that wait, and how many are without an answer."""

    def __init__(self, requests: list[bytes]) -> None:
        self._waiting = iter(requests)
        self._open = 0
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def take(self) -> bytes | None:
        """The next request, or None if there is no more; after the last answer, it is over."""
        request = next(self._waiting, None)
        if request is not None:
            self._open += 1
        elif self._open == 0 and not self.over.done():
            self.over.set_result(None)
        return request

    def answered(self) -> None:
        self._open -= 1

    def fail(self, why: str) -> None:
        if not self.over.done():
            self.over.set_exception(RuntimeError(why))


class _Flooding(asyncio.Protocol):
    """Takes whatever comes for the answer."""

    def __init__(self, work: _Work) -> None:
        self._work = work

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

    def connection_lost(self, exc: Exception | None) -> None:
        self._work.fail(f"the receiver closed a connection: {exc}")

    def data_received(self, data: bytes) -> None:
        del data
        self._work.answered()
        self.send()

    def send(self) -> None:
        request = self._work.take()
        if request is not None:
            self._transport.write(request)


class _Reading(_Flooding):
    """Reads each answer to its end and looks at its status."""

    def __init__(self, work: _Work) -> None:
        import httptools  # noqa: PLC0415  (only this child needs it)

        super().__init__(work)
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status != HTTPStatus.NO_CONTENT:
            self._work.fail(f"the receiver answered {status}")
            return
        self._work.answered()
        self.send()


async def _over_lines(
    protocol: Callable[[_Work], _Flooding], requests: list[bytes], in_flight: int, port: int
) -> dict[str, Any]:
    loop, work = asyncio.get_running_loop(), _Work(requests)
    lines = [(await loop.create_connection(lambda: protocol(work), "127.0.0.1", port))[1] for _ in range(in_flight)]
    meter = Meter()
    for line in lines:
        line.send()
    await work.over
    return meter.stop(len(requests))


def _raw(post: Post) -> bytes:
    host, _, path = post.url.removeprefix("http://").partition("/")
    lines = [f"POST /{path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in post.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(post.body)}", "", ""]).encode() + post.body
