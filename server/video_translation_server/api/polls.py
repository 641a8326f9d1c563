"""Jobs that are moved by being asked about: counts the polls of each, and makes the move that one is worth.

The counts live as long as the process; the moves that they lead to are kept like any other.
"""

from video_translation_server import lifecycle
from video_translation_server.clock import Clock
from video_translation_server.ids import Ids
from video_translation_server.links import Links
from video_translation_server.model import Job
from video_translation_server.store import Store
from video_translation_server.transitions import record


class Polls:
    """How often each job that polls move was asked for since its last move."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, *, links: Links) -> None:
        """`links` makes the URLs of a completed job's files."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._links = links
        self._counts: dict[tuple[str, int], int] = {}

    async def seen(self, job: Job) -> Job:
        """Count one poll of the job; the answer is the job as it is then, moved on by the last poll that it takes."""
        if not self._is_enough(job):
            return job
        change = lifecycle.advance(job, event_id=self._ids("evt"), now=self._clock.now(), links=self._links)
        if await record(self._store, [change]) == [True]:
            return change.job
        return await self._store.job(job.workspace_id, job.id)

    def _is_enough(self, job: Job) -> bool:
        wanted = job.plan.polls
        if wanted is None or job.status.is_terminal or job.in_preflight:
            return False
        step = (job.id, job.version)
        count = self._counts.pop(step, 0) + 1
        if count < wanted:
            self._counts[step] = count
        return count >= wanted
