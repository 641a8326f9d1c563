"""Who waits for which job: woken by the job's own lines of the log, which is read once for all.

What somebody does who is woken is the business of `waiting`.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from video_translation_server.api.tail import Tail
from video_translation_server.model import Event


class Waiters:
    """Follows the log while anybody waits; used from the event loop only."""

    def __init__(self, tail: Tail) -> None:
        self._tail = tail
        self._of: dict[str | None, set[asyncio.Event]] = {}

    def __len__(self) -> int:
        """How many wait."""
        return sum(map(len, self._of.values()))

    @contextmanager
    def waiter(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever the job may have moved, until the block ends; the waiter clears it."""
        woken = asyncio.Event()
        self._of.setdefault(job_id, set()).add(woken)
        self._tail.follow(self)
        try:
            yield woken
        finally:
            self._of[job_id].discard(woken)
            if not self._of[job_id]:
                del self._of[job_id]
            if not self._of:
                self._tail.leave(self)

    def look(self, events: Sequence[Event], _: int) -> None:
        """The log has gone on by these events."""
        for event in events:
            for woken in self._of.get(event.job_id, ()):
                woken.set()

    def skip_to(self, _: int) -> None:
        """The log is followed from here on: what came before, each looks for by itself."""
        for group in self._of.values():
            for woken in group:
                woken.set()
