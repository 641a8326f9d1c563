"""The simulation loop: asks the store for jobs whose next move is due, and records the moves.

Jobs move by due times in the store, so a restart resumes them where they stopped.
"""

from video_translation_server import lifecycle
from video_translation_server.clock import Clock
from video_translation_server.ids import Ids
from video_translation_server.links import Links
from video_translation_server.model import Workers
from video_translation_server.store import UNLIMITED, Store
from video_translation_server.transitions import record

BATCH = 256


class Mover:
    """Moves jobs as their time comes."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        *,
        links: Links,
        poll_interval: float,
        workers: Workers = UNLIMITED,
    ) -> None:
        """Nothing runs until `run`; `poll_interval` is seconds, `workers` how many jobs run at once."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._links = links
        self._poll_interval = poll_interval
        self._workers = workers

    async def run(self) -> None:
        """Move jobs until cancelled."""
        with self._store.bells.jobs.listen() as bell:
            while True:
                bell.clear()
                if await self.move_due() == BATCH:
                    continue
                poll = self._clock.now() + self._poll_interval
                due = await self._store.next_job_due()
                await self._clock.wait(bell, poll if due is None else min(due, poll))

    async def move_due(self) -> int:
        """Move every job that is due now, at most 256; the answer is how many were."""
        now = self._clock.now()
        jobs = await self._store.due_jobs(now, BATCH, workers=self._workers)
        if not jobs:
            return 0
        changes = [lifecycle.advance(job, event_id=self._ids("evt"), now=now, links=self._links) for job in jobs]
        await record(self._store, changes)
        return len(jobs)
