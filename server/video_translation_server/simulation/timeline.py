"""The server's time in its user's hand: stop it, set it forward, let it run faster (decision 0013).

Setting it forward goes from due instant to due instant. At each one:

1. The clock shows it, and the state is kept, so that no restart falls behind what has happened.
2. Whatever waits for it wakes: the loops that move jobs and deliver. Chores are done: endpoints that run out, sweeps,
   letters held back.
3. Only when no job is due or in its preflight, nothing is leased and nothing can be claimed does the next instant come.

An attempt takes the real time that its receiver takes; none is cut short because the clock is in a hurry.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator

from video_translation_server.clock import Clock, VirtualClock
from video_translation_server.errors import ConflictError, InvalidError
from video_translation_server.model import Workers
from video_translation_server.store import UNLIMITED, Store

LOOK_EVERY = 0.05
"""Real seconds between two looks at the store when no bell has rung; bells are hints."""

LATEST = 221_845_392_000.0
"""The beginning of the year 9000, Unix seconds: what is planned from there on still has a date that can be written."""

Chore = Callable[[], Awaitable[None]]
Due = Callable[[], float | None]


class Timeline:
    """The hand on the clock; one that sets it forward waits for the one before."""

    def __init__(
        self,
        store: Store,
        clock: VirtualClock,
        *,
        chores: Chore,
        upkeep: Chore,
        due: Due,
        workers: Workers = UNLIMITED,
    ) -> None:
        """Do `chores` at every instant, `upkeep` once where time has been set forward to; `workers` run jobs.

        `due` tells when chores are due that the store knows nothing of.
        """
        self._store = store
        self._clock = clock
        self._chores = chores
        self._upkeep = upkeep
        self._due = due
        self._workers = workers
        self._turn = asyncio.Lock()

    async def run(self, speed: float) -> None:
        """Pass `speed` virtual seconds per real second from here on; 0 stands still."""
        async with self._turn:
            self._clock.run(speed)
            await self._keep()

    async def advance(self, seconds: float) -> None:
        """Set the clock `seconds` forward; everything that is due on the way happens, in the order of its time.

        Raises:
            InvalidError: It would stand beyond the year 9000.
        """
        async with self._turn:
            with self._standing_still():
                target = _allowed(self._clock.now() + seconds, param="seconds")
                await self._settled()
                while (due := await self.next_due()) is not None and due <= target:
                    await self._reach(due)
                await self._reach(target)
                await self._upkeep()
            await self._keep()

    async def advance_to_next(self) -> None:
        """Set the clock to the next instant at which anything is due; where nothing is, it stays.

        Raises:
            InvalidError: It would stand beyond the year 9000.
        """
        async with self._turn:
            with self._standing_still():
                await self._settled()
                due = await self.next_due()
                if due is not None:
                    await self._reach(_allowed(due, param="to"))
            await self._keep()

    async def next_due(self) -> float | None:
        """The next instant at which anything is due, Unix seconds of the clock; later than now as a rule."""
        return await _next_due(self._store, self._clock.now(), self._due)

    @contextlib.contextmanager
    def _standing_still(self) -> Iterator[None]:
        """What happens at an instant happens exactly then; afterwards the clock goes on as it did."""
        speed = self._clock.state.speed
        self._clock.run(0)
        try:
            yield
        finally:
            self._clock.run(speed)

    async def _reach(self, instant: float) -> None:
        self._clock.set_forward(instant)
        await self._keep()
        await self._settled()

    async def _keep(self) -> None:
        await self._store.keep_clock(self._clock.state)

    async def _settled(self) -> None:
        """Return when all that is due has happened, with all that followed from it at once."""
        bells = self._store.bells
        with bells.jobs.listen() as bell, bells.deliveries.listen(bell):
            while True:
                bell.clear()
                await self._chores()
                if not await self._is_busy():
                    return
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await bell.wait()

    async def _is_busy(self) -> bool:
        # In the order in which a job gets there: each step is one commit, so that none is missed in between.
        now = self._clock.now()
        if await self._store.jobs_in_preflight(1) or await self._store.due_jobs(now, 1, workers=self._workers):
            return True
        return await self._store.is_delivering(now)


def _allowed(instant: float, *, param: str) -> float:
    if instant > LATEST:
        raise InvalidError("the clock cannot be set beyond the year 9000; begin anew on another database", param=param)
    return instant


class SharedTimeline:
    """The time of a store that several servers share: it is the database's, and nobody sets it (decision 0013)."""

    def __init__(self, store: Store, clock: Clock, *, due: Due) -> None:
        self._store = store
        self._clock = clock
        self._due = due

    async def run(self, speed: float) -> None:
        """Refused."""
        raise _not_ours(f"cannot run at speed {speed:g}")

    async def advance(self, seconds: float) -> None:
        """Refused."""
        raise _not_ours(f"cannot be set forward by {seconds:g} s")

    async def advance_to_next(self) -> None:
        """Refused."""
        raise _not_ours("cannot be set forward")

    async def next_due(self) -> float | None:
        """The next instant at which anything is due, Unix seconds."""
        return await _next_due(self._store, self._clock.now(), self._due)


async def _next_due(store: Store, now: float, also: Due) -> float | None:
    found = (
        await store.next_job_due(),
        await store.next_delivery_due(now),
        await store.next_endpoint_expiry(),
        also(),
    )
    return min((due for due in found if due is not None), default=None)


def _not_ours(what: str) -> ConflictError:
    return ConflictError(
        f"the clock {what}: servers that share a PostgreSQL database go by its time; "
        "start one with a file as --store to set the clock"
    )
