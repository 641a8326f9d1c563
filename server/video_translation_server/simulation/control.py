"""What a user does to the simulation by hand: end or move a job now, begin again from nothing.

Which moves there are is `lifecycle`'s business; what time it is `timeline`'s.
"""

from collections.abc import Awaitable, Callable

from video_translation_server import lifecycle
from video_translation_server.clock import Clock
from video_translation_server.ids import Ids
from video_translation_server.links import Links
from video_translation_server.model import Change, Job
from video_translation_server.store import Store
from video_translation_server.transitions import record

Step = Callable[[Job, float], list[Change]]
"""What becomes of a job, from it and Unix seconds."""

Restart = Callable[[], Awaitable[None]]


class Control:
    """Moves jobs of any workspace at once, whatever their plans say."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, links: Links, restart: Restart) -> None:
        """`links` makes the URLs of completed jobs' files; `restart` takes back what was ordered, for `erase`."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._links = links
        self._restart = restart

    async def complete(self, job_id: str) -> Job:
        """Complete a job; one that waits runs first, so that both transitions are told.

        Raises:
            NotFoundError: There is no such job.
            ConflictError: It has ended already.
        """
        return await self._move(
            job_id, lambda job, now: lifecycle.complete(job, ids=self._ids, now=now, links=self._links)
        )

    async def fail(self, job_id: str, message: str) -> Job:
        """Let a job fail with a message; raises as `complete` does."""
        return await self._move(
            job_id, lambda job, now: [lifecycle.fail(job, message, event_id=self._ids("evt"), now=now)]
        )

    async def advance(self, job_id: str) -> Job:
        """Make the next move of a job's own plan now; raises as `complete` does."""
        return await self._move(job_id, self._as_planned)

    async def stall(self, job_id: str) -> Job:
        """Let a job stand still until it is moved by hand; raises as `complete` does."""
        return await self._move(job_id, lambda job, now: [lifecycle.stall(job, event_id=self._ids("evt"), now=now)])

    async def reset(self, job_id: str) -> Job:
        """Put a job back to the beginning of its plan, from whatever status; its sequence goes on.

        Raises:
            NotFoundError: There is no such job.
        """
        return await self._move(job_id, lambda job, now: [lifecycle.reset(job, event_id=self._ids("evt"), now=now)])

    async def erase(self) -> None:
        """Delete jobs, events, endpoints and deliveries; what was ordered is taken back, the clock stays."""
        await self._store.erase()
        await self._restart()

    async def _move(self, job_id: str, step: Step) -> Job:
        while True:
            changes = step(await self._store.job(None, job_id), self._clock.now())
            if all(await record(self._store, changes)):
                return changes[-1].job
            # The job has moved in between: what it is now decides. It ends, since a job has few moves.

    def _as_planned(self, job: Job, now: float) -> list[Change]:
        return [lifecycle.advance(job, event_id=self._ids("evt"), now=now, links=self._links)]
