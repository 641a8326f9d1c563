"""One job's transitions for those who iterate over them, with `for` or `async for`.

What is known of a job's way, and when a state that was only asked for is taken for an event, is in `_transitions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Self

from video_translation_client._models import Event
from video_translation_client._timeouts import bearable
from video_translation_client._transitions import EndOfTransitions, Transitions


class EventStream:
    """A job's events for `for` or `async for`; made by `job.events()`.

    Args:
        transitions: what to read.
        seek: asks that the event log be read soon.
        begin: asks that the job's first events be looked for, from before anybody here followed it.
        expired: makes the error to raise when the time has run out.
        timeout: seconds for all events together; None waits as long as it takes.
    """

    __slots__ = ("_begin", "_deadline", "_expired", "_place", "_seek", "_transitions")

    def __init__(
        self,
        transitions: Transitions,
        *,
        seek: Callable[[], None],
        begin: Callable[[], None],
        expired: Callable[[], BaseException],
        timeout: float | None,
    ) -> None:
        self._transitions = transitions
        self._seek = seek
        self._begin = begin
        self._expired = expired
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._place = 0

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        bell = threading.Event()
        with self._transitions.watched(bell.set):
            while True:
                bell.clear()
                try:
                    event = self._advance()
                except EndOfTransitions:
                    raise StopIteration from None
                if event is not None:
                    return event
                bell.wait(bearable(self._pause()))

    async def __anext__(self) -> Event:
        loop, bell = asyncio.get_running_loop(), asyncio.Event()
        with self._transitions.watched(lambda: call_in(loop, bell.set)):
            while True:
                bell.clear()
                try:
                    event = self._advance()
                except EndOfTransitions:
                    raise StopAsyncIteration from None
                if event is not None:
                    return event
                pause = self._pause()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(bell.wait(), pause)

    def _advance(self) -> Event | None:
        if self._transitions.needs_beginning():
            self._begin()
        if self._transitions.press(time.monotonic()):
            self._seek()
        event, self._place = self._transitions.at(self._place)
        return event

    def _pause(self) -> float | None:
        """Return how long to wait for the next change, in seconds.

        Raises:
            WaitTimeoutError: the time has run out.
        """
        now = time.monotonic()
        if self._deadline is not None and now >= self._deadline:
            raise self._expired()
        pauses = (self._transitions.pause(now), None if self._deadline is None else self._deadline - now)
        return min((pause for pause in pauses if pause is not None), default=None)


def call_in(loop: asyncio.AbstractEventLoop, work: Callable[[], object]) -> None:
    """Run `work` soon on the loop; on a loop that has closed nobody waits any more."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(work)
