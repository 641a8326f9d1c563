"""The receiving sides that are compared: the client's own listener, and a bare ASGI app that answers 204 unread.

Each is a process of its own under uvicorn with the same settings; the parent asks it what it got and what it cost.
"""

import gc
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import uvicorn

from benchmarks.child import answer
from benchmarks.meter import cpu_seconds
from video_translation_client import Event, VideoTranslationClient
from video_translation_client._listener import Listener

Count = Callable[[], int]


def client(*, secret: str) -> None:
    """Verify, put in order, call back; until the parent closes our input. The count is of callbacks made."""
    seen = 0

    def count(_: Event) -> None:
        nonlocal seen
        seen += 1

    with VideoTranslationClient("http://127.0.0.1:1") as made:
        made.on_event(count)
        receiver = made._engine.receiver  # noqa: SLF001  (registered by hand: no server takes part)
        receiver.trust((secret,))
        listener = Listener(receiver, host="127.0.0.1", port=0, public_url=None)
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


def _converse(port: int, count: Count) -> None:
    """Say where we listen; then answer each line with what we have got: at once, or when it is so many."""
    gc.freeze()
    answer({"port": port})
    for line in sys.stdin:
        wanted, until = json.loads(line)["until"], time.monotonic() + 10
        while count() < wanted and time.monotonic() < until:
            time.sleep(0.01)
        answer({"count": count(), "cpu": cpu_seconds()})
