"""The receiving sides that are compared: the client's own listener, and a bare ASGI app that answers 204 unread.

Each is a process of its own under uvicorn with the same settings; the parent asks it what it got and what it cost.
`wakes`, `starts` and `handles` measure single parts of the client in a process of their own.
"""

import gc
import json
import queue
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import uvicorn

from benchmarks.child import answer
from benchmarks.meter import cpu_seconds, peak_memory_mb
from benchmarks.traffic import TRANSITIONS, Shape, endpoints, posts
from video_translation_client import Event, VideoTranslationClient
from video_translation_client._listener import Listener

NOWHERE = "http://127.0.0.1:1"
"""A service that does not matter: what is measured here comes in by itself."""


def client(*, secret: str) -> None:
    """Verify, put in order, call back; until the parent closes our input. The count is of callbacks made."""
    seen = 0

    def count(_: Event) -> None:
        nonlocal seen
        seen += 1

    with VideoTranslationClient(NOWHERE, webhook_secret=secret, mode="poll") as made:
        made.on_event(count)
        listener = Listener(made.webhook_receiver, host="127.0.0.1", port=0, public_url=None)
        listener.start()
        _converse(int(listener.url.rpartition(":")[2].partition("/")[0]), lambda: seen)
        listener.stop()


def bare(*, secret: str) -> None:
    """Answer 204 to whatever comes; until the parent closes our input. The count is of requests answered."""
    del secret
    seen = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        del scope
        while (await receive()).get("more_body"):
            pass
        seen += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(
        app, port=0, log_config=None, access_log=False, lifespan="off", proxy_headers=False, server_header=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.01)
    _converse(server.servers[0].sockets[0].getsockname()[1], lambda: seen)
    server.should_exit = True
    thread.join()


def _converse(port: int, count: Callable[[], int]) -> None:
    """Say where we listen; then answer each line with what we have got, once it is as much as the line says."""
    gc.freeze()
    answer({"port": port})
    for line in sys.stdin:
        wanted, until = json.loads(line)["until"], time.monotonic() + 10
        while count() < wanted and time.monotonic() < until:
            time.sleep(0.01)
        answer({"count": count(), "cpu": cpu_seconds()})


def wakes(*, count: int, seed: int) -> dict[str, Any]:
    """Seconds from the bytes of a job's last event, as the receiver gets them, to `result()` returning on a thread."""
    shape = Shape(deliveries=count * TRANSITIONS, endpoints=1, fan_out=1, port=1, seed=seed)
    secret = endpoints(shape, time.time())[0].secret
    woken: queue.SimpleQueue[float] = queue.SimpleQueue()
    late = []

    def wait(job: Any, waiting: threading.Event) -> None:
        waiting.set()
        job.result(30)
        woken.put(time.perf_counter())

    with VideoTranslationClient(NOWHERE, webhook_secret=secret, mode="poll", auto_poll=False) as made:
        for post in posts(shape, time.time()):
            event = json.loads(post.body)["event_data"]
            if event["sequence"] < TRANSITIONS:
                made.webhook_receiver.handle("POST", post.headers, post.body)
                continue
            waiting = threading.Event()
            thread = threading.Thread(target=wait, args=(made.job(event["video_translate_id"]), waiting))
            thread.start()
            waiting.wait()
            time.sleep(0.001)  # the thread is inside result() by then; if not, it finds the job ended, and is faster
            began = time.perf_counter()
            made.webhook_receiver.handle("POST", post.headers, post.body)
            late.append(woken.get(timeout=30) - began)
            thread.join()
    return {"wakes": late}


def starts(*, count: int) -> dict[str, Any]:
    """Seconds from `start()` to a listener that answers, on a port of its own each time."""
    taken = []
    with VideoTranslationClient(NOWHERE, mode="poll") as made:
        for _ in range(count):
            listener = Listener(made.webhook_receiver, host="127.0.0.1", port=0, public_url=None)
            began = time.perf_counter()
            listener.start()
            taken.append(time.perf_counter() - began)
            listener.stop()
    return {"starts": taken}


def handles(*, count: int) -> dict[str, Any]:
    """The memory of waiting handles, registry included, and the threads that they took."""
    with VideoTranslationClient(NOWHERE, mode="poll", auto_poll=False) as made:
        made.job("vt_warm")
        threads, peak = threading.active_count(), peak_memory_mb()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        kept = [made.job(f"vt_{number:032x}") for number in range(count)]
        used = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        taken = threading.active_count() - threads
        return {"bytes_per_handle": used / len(kept), "threads": taken, "rss_growth_mb": peak_memory_mb() - peak}
