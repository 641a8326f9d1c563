"""Those whom the engine is measured against, each run by a child process: they only POST, nothing is kept.

`aiohttp_loop` is the baseline, tuned as far as its public options go; `naive_httpx` is what one writes first;
`bare_posts` waits for each answer and tells its round trip; `flood` sends as fast as it can without reading answers
closely, to see what the receiver can take.
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


def flood(*, shape: dict[str, Any], in_flight: int) -> dict[str, Any]:
    """POST everything over raw connections, one request at a time on each."""
    return run(_flood([_raw(post) for post in _prepared(shape)], in_flight, shape["port"]))


async def _flood(requests: list[bytes], in_flight: int, port: int) -> dict[str, Any]:
    loop, over, waiting = asyncio.get_running_loop(), asyncio.Event(), iter(requests)
    open_requests = 0

    class Sending(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)  # uvloop's is none by class

        def data_received(self, data: bytes) -> None:
            del data
            nonlocal open_requests
            open_requests -= 1
            self.send()

        def send(self) -> None:
            nonlocal open_requests
            request = next(waiting, None)
            if request is not None:
                open_requests += 1
                self.transport.write(request)
            elif open_requests == 0:
                over.set()

    lines = [(await loop.create_connection(Sending, "127.0.0.1", port))[1] for _ in range(in_flight)]
    meter = Meter()
    for line in lines:
        line.send()
    await over.wait()
    return meter.stop(len(requests))


def _raw(post: Post) -> bytes:
    host, _, path = post.url.removeprefix("http://").partition("/")
    lines = [f"POST /{path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in post.headers.items())]
    return "\r\n".join([*lines, f"Content-Length: {len(post.body)}", "", ""]).encode() + post.body
