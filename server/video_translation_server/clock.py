"""Time as an argument: the server reads and awaits time only through a `Clock`.

Virtual time moves what decision 0013 lists (job moves, due times); leases, socket deadlines and
signature timestamps stay on real time and do not come here.
"""

import asyncio
import contextlib
import math
import time
from typing import Protocol


class Clock(Protocol):
    """A source of Unix seconds that can be waited on."""

    def now(self) -> float:
        """The current time, Unix seconds."""
        ...

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the clock reads `until` (None: only the event), whichever is first."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """The current time, Unix seconds."""
        return time.time()

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the clock reads `until`."""
        delay = None if until is None else max(0.0, until - self.now())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await event.wait()


class ManualClock:
    """A clock that stands still until `advance` moves it; for tests. Used from one event loop only."""

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        self._moved: dict[asyncio.Event, float] = {}

    def now(self) -> float:
        """The current virtual time, Unix seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move time forward by `seconds` and wake everyone who waits for an instant, the earliest first."""
        self._now += seconds
        for moved in sorted(self._moved, key=self._moved.__getitem__):
            moved.set()

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or `advance` has reached `until`."""
        while not event.is_set() and (until is None or self._now < until):
            moved = asyncio.Event()
            self._moved[moved] = math.inf if until is None else until
            waiters = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(moved.wait())]
            try:
                await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
            finally:
                del self._moved[moved]
                for waiter in waiters:
                    waiter.cancel()
                await asyncio.gather(*waiters, return_exceptions=True)
