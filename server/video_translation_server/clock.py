"""Time as an argument: the server reads and awaits time only through a `Clock`.

Virtual time moves what decision 0013 lists (job moves, due times); leases, socket deadlines and
signature timestamps stay on real time and do not come here.
"""

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """A source of Unix seconds that can be waited on."""

    def now(self) -> float:
        """The current time, Unix seconds."""
        ...

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the clock reads `until` (None: only the event), whichever is first."""
        ...


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


@dataclass(frozen=True, slots=True)
class ClockState:
    """From what a virtual clock's reading follows.

    Attributes:
        virtual_at: What the clock showed, Unix seconds,
        real_at: when it really was this time, Unix seconds.
        speed: Virtual seconds per real second since then; 0: it stands still.
    """

    virtual_at: float
    real_at: float
    speed: float


class VirtualClock:
    """A clock that whoever runs the server may stop, set forward, and run faster. Used from one event loop only.

    It never goes back, nor waits: where the machine's clock is set back, it goes on from where it stood. Where that is
    set forward, it follows.
    """

    def __init__(self, state: ClockState | None = None, *, real_time: Callable[[], float] = time.time) -> None:
        """Go on from a state that was kept; without one it shows `real_time` (Unix seconds)."""
        self._real_time = real_time
        self._state = state or ClockState(real_at=(real := real_time()), virtual_at=real, speed=1.0)
        self._read_at = self._state.real_at
        self._waiting: dict[asyncio.Timeout, float] = {}

    @property
    def state(self) -> ClockState:
        """From what its reading follows; kept, so that a restart goes on from it."""
        return self._state

    @property
    def speed(self) -> float:
        """Virtual seconds per real second; 0: it stands still."""
        return self._state.speed

    def now(self) -> float:
        """The current virtual time, Unix seconds."""
        real = self._real_time()
        if real < self._read_at:
            self._state = ClockState(virtual_at=self._reading(self._read_at), real_at=real, speed=self._state.speed)
        self._read_at = real
        state = self._state  # not by `_reading`: it is asked several times for each delivery
        return state.virtual_at + (real - state.real_at) * state.speed

    def _reading(self, real: float) -> float:
        return self._state.virtual_at + (real - self._state.real_at) * self._state.speed

    def run(self, speed: float) -> None:
        """From here on, pass `speed` virtual seconds per real second; 0: stand still."""
        self._change(self.now(), speed)

    def set_forward(self, instant: float) -> None:
        """Show `instant` (Unix seconds) from here on; one that is past already changes nothing."""
        if instant > self.now():
            self._change(instant, self._state.speed)

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the clock has reached `until`, by itself or because it was set forward."""
        if until is None:
            await event.wait()
            return
        while not event.is_set() and self.now() < until:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None) as alarm:
                    self._waiting[alarm] = until
                    try:
                        self._arm(alarm, until)
                        await event.wait()
                    finally:
                        del self._waiting[alarm]

    def _change(self, virtual: float, speed: float) -> None:
        """Show `virtual` at the instant at which it was read last, and pass at `speed` from there."""
        self._state = ClockState(virtual_at=virtual, real_at=self._read_at, speed=speed)
        for alarm, until in sorted(self._waiting.items(), key=lambda entry: entry[1]):
            if not alarm.expired():
                self._arm(alarm, until)

    def _arm(self, alarm: asyncio.Timeout, until: float) -> None:
        left, speed = until - self.now(), self._state.speed
        if left > 0 and not speed:
            alarm.reschedule(None)
        else:
            alarm.reschedule(asyncio.get_running_loop().time() + (max(0.0, left) / speed if speed else 0.0))


class FollowingClock:
    """A clock that shows another's time: asked for now and then, and in between by the time that passes here.

    So servers whose own clocks differ agree on when something is due. It never goes back. Used from one event loop.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[float]], *, every: float = 10.0, passing: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask (for Unix seconds) every so many seconds, once `run` runs; it shows nothing before the first `look`."""
        self._ask = ask
        self._every = every
        self._passing = passing
        self._offset = 0.0
        self._shown = -math.inf

    @property
    def speed(self) -> float:
        """It goes as real time does."""
        return 1.0

    def now(self) -> float:
        """The other clock's time, Unix seconds."""
        self._shown = max(self._shown, self._passing() + self._offset)
        return self._shown

    async def look(self) -> None:
        """Ask for the time; what is on its way longest tells least, so the quickest of three answers counts."""
        readings = []
        for _ in range(3):
            asked = self._passing()
            shown = await self._ask()
            answered = self._passing()
            readings.append((answered - asked, shown - (asked + answered) / 2))
        self._offset = min(readings)[1]

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            await self.look()

    async def wait(self, event: asyncio.Event, until: float | None) -> None:
        """Return when `event` is set or the clock reads `until`."""
        while not event.is_set() and (until is None or self.now() < until):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if until is None else until - self.now()):
                    await event.wait()
