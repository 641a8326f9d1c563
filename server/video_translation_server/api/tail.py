"""The newest events, read from the log once for all streams, and each stream's own place in it.

What a stream sends and to whom is the business of `stream`. Nothing is queued per stream: one that falls behind the
window reads the log by itself, one that does not read at all holds one batch.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Protocol

from video_translation_server.errors import BusyError, UnauthorizedError
from video_translation_server.model import Event
from video_translation_server.store import EventFilter, Store
from video_translation_server.wire.events import BY_NAME_ONLY

BATCH = 64
"""Events per read of the log."""

WINDOW = 512
"""Events that the tail keeps for streams which are a little behind."""

WINDOW_BYTES = 1024 * 1024
"""Bytes of event bodies that it keeps at most."""


@dataclass(frozen=True, slots=True)
class Wish:
    """Which events a stream wants; None does not narrow, but leaves out what must be asked for by name.

    `key_id` is the stored key that it was opened with, where one was.
    """

    workspace_id: str
    types: frozenset[str] | None = None
    entity_id: str | None = None
    key_id: str | None = None

    def fits(self, event: Event) -> bool:
        """True for an event that the stream wants."""
        if event.workspace_id != self.workspace_id or self.entity_id not in (None, event.entity_id):
            return False
        return event.type not in BY_NAME_ONLY if self.types is None else event.type in self.types


class Follower(Protocol):
    """Somebody whom the tail tells of the log."""

    def look(self, events: Sequence[Event], read_to: int, /) -> None:
        """The tail has read on: these events, up to this position."""
        ...

    def skip_to(self, position: int, /) -> None:
        """The tail has begun anew at a position, and tells nothing of what is before it."""
        ...


class Tail:
    """Follows the log while there are streams.

    Attributes:
        position: The log position up to which it has read.
        start: The log position behind which the window holds every event.
    """

    def __init__(self, store: Store, *, limit: int = 1000, interval: float = 5.0) -> None:
        """`limit` streams at once; the log is looked at every `interval` seconds without a bell too."""
        self.store = store
        self.position = 0
        self.start = 0
        self._limit = limit
        self._interval = interval
        self._window: deque[Event] = deque()
        self._window_bytes = 0
        self._followers: set[Follower] = set()
        self._streams = 0
        self._revoked: set[str] = set()
        self._wanted = asyncio.Event()

    @contextmanager
    def reader(self, wish: Wish, position: int) -> Iterator["Reader"]:
        """One stream's place in the log while the block lasts.

        Raises:
            BusyError: There are as many streams as there may be.
        """
        if self._streams >= self._limit:
            raise BusyError(f"this server has {self._limit} event streams open; try again, or poll", retry_after=5)
        reader = Reader(self, wish, position)
        self._streams += 1
        if wish.key_id in self._revoked:
            reader.end()
        self.follow(reader)
        try:
            yield reader
        finally:
            self._streams -= 1
            self.leave(reader)

    def follow(self, follower: Follower) -> None:
        """Tell somebody of the log until `leave`; to say it twice harms nothing."""
        self._followers.add(follower)
        self._wanted.set()

    def leave(self, follower: Follower) -> None:
        """Tell somebody no more; without anybody the log is not read."""
        self._followers.discard(follower)

    async def run(self) -> None:
        """Follow the log until cancelled; a failure loses nothing, the next run reads on."""
        with self.store.bells.events.listen() as rung:
            while True:
                if not self._followers:
                    await self._rest()
                rung.clear()
                found, read_to = await self.store.events_after(None, self.position, limit=BATCH, wanted=EventFilter())
                self._add(found, read_to)
                if len(found) < BATCH:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self._interval):
                            await rung.wait()

    async def _rest(self) -> None:
        """Wait for a stream; what was committed meanwhile, a stream that wants it reads by itself."""
        self._wanted.clear()
        await self._wanted.wait()
        self.position = self.start = await self.store.last_position()
        self._window.clear()
        self._window_bytes = 0
        for follower in self._followers:
            follower.skip_to(self.position)

    def _add(self, events: Sequence[Event], read_to: int) -> None:
        self._window.extend(events)
        self._window_bytes += sum(len(event.body) for event in events)
        while len(self._window) > WINDOW or self._window_bytes > WINDOW_BYTES:
            oldest = self._window.popleft()
            self._window_bytes -= len(oldest.body)
            self.start = oldest.position
        self.position = read_to
        for follower in self._followers:
            follower.look(events, read_to)

    def end_streams_of(self, key_id: str) -> None:
        """End the streams that were opened with a key: it is revoked."""
        # Kept for a stream that is just about to open.
        self._revoked.add(key_id)
        for follower in self._followers:
            if isinstance(follower, Reader) and follower.wish.key_id == key_id:
                follower.end()

    def behind(self, position: int) -> list[Event]:
        """The window's events behind a position that is in it."""
        newest_first = takewhile(lambda event: event.position > position, reversed(self._window))
        return list(newest_first)[::-1]


class Reader:
    """One stream's place in the log.

    Attributes:
        position: Every event up to here that fits the wish has been handed out by `batch`.
    """

    def __init__(self, tail: Tail, wish: Wish, position: int) -> None:
        """`tail.reader` is the door."""
        self.position = position
        self._tail = tail
        self.wish = wish
        self._is_idle = False
        self._is_over = False
        self._woken = asyncio.Event()

    async def batch(self, patience: float) -> list[Event]:
        """The next events that fit, in log order; none when there are none for `patience` seconds.

        Raises:
            StoreError: The log cannot be read.
            UnauthorizedError: The key that the stream was opened with is revoked.
        """
        end = asyncio.get_running_loop().time() + patience
        while asyncio.get_running_loop().time() < end:
            if self.position >= self._tail.position:
                await self._wait(end)
            elif found := await self._read():
                self._check_key()
                return found
            self._check_key()
        return []

    def _check_key(self) -> None:
        if self._is_over:
            raise UnauthorizedError("the key of this stream is revoked")

    def end(self) -> None:
        """Make `batch` raise: the key is revoked."""
        self._is_over = True
        self._wake()

    def look(self, events: Sequence[Event], read_to: int) -> None:
        """The tail has read on: wake where something fits, otherwise pass over it without waking."""
        if not self._is_idle:
            return
        if any(event.position > self.position and self.wish.fits(event) for event in events):
            self._wake()
        else:
            self.position = max(self.position, read_to)

    def skip_to(self, position: int) -> None:
        """The tail has begun anew at a position: what is before it is to be read from the log."""
        if self._is_idle and self.position < position:
            self._wake()

    def _wake(self) -> None:
        # From here on its position stays until it has read what it was woken for.
        self._is_idle = False
        self._woken.set()

    async def _wait(self, end: float) -> None:
        self._woken.clear()
        self._is_idle = True
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(end):
                    await self._woken.wait()
        finally:
            self._is_idle = False

    async def _read(self) -> list[Event]:
        tail, wish = self._tail, self.wish
        if self.position >= tail.start:
            found, self.position = tail.behind(self.position), tail.position
        else:
            wanted = EventFilter(entity_id=wish.entity_id)
            found, self.position = await tail.store.events_after(
                wish.workspace_id, self.position, limit=BATCH, wanted=wanted
            )
        return [event for event in found if wish.fits(event)]
