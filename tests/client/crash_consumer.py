"""A consumer to be killed: run as a process of its own by `test_durable_crash`.

    python -m tests.client.crash_consumer MODE URL PATH [NTH POINT]

It stops in its NTH callback (before or after the effect, or at the commit) and says `paused`: then it can be killed.
Otherwise it ends, cleanly, when its stdin does.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from examples.orders import Orders
from video_translation_client import Event, VideoTranslationClient


class Pauses:
    """Stops the process at one point of one callback, for good."""

    def __init__(self, nth: int, point: str) -> None:
        self._nth = nth
        self._point = point
        self._calls = 0

    def at(self, point: str) -> None:
        self._calls += point == "before"
        if (self._calls, point) == (self._nth, self._point):
            say("paused")
            threading.Event().wait()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main(mode: str, url: str, path: str, nth: str = "0", point: str = "") -> None:
    pauses = Pauses(int(nth), point)
    inbox, effect = _own(path, pauses) if mode == "own" else (None, _appending(path + ".effects"))

    def callback(event: Event) -> None:
        pauses.at("before")
        effect(event)
        pauses.at("after")
        say(f"handled {event.job.sequence}")

    with VideoTranslationClient(url, inbox=path if mode == "file" else inbox) as client:
        client.register_webhook(callback)
        say("registered")
        sys.stdin.read()


def _own(path: str, pauses: Pauses) -> tuple[Orders, Callable[[Event], None]]:
    orders = Orders(path)

    def book(event: Event) -> None:
        callbacks = threading.current_thread()
        orders.connection.set_trace_callback(
            lambda sql: pauses.at("commit") if sql == "COMMIT" and threading.current_thread() is callbacks else None
        )
        orders.book(event)

    return orders, book


def _appending(path: str) -> Callable[[Event], None]:
    file = os.open(Path(path), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    return lambda event: (os.write(file, f"{event.job.sequence}\n".encode()), None)[1]


if __name__ == "__main__":
    main(*sys.argv[1:])
