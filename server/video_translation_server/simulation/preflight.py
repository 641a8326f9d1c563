"""The loop that looks at jobs' videos before they begin: where the video is one, its length makes the job's time.

A job waits in the store for it, so that a restart begins where it stopped. How one looks is `inspection`'s business.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from video_translation_server import lifecycle
from video_translation_server.clock import Clock
from video_translation_server.errors import NotFoundError
from video_translation_server.ids import Ids
from video_translation_server.links import Links
from video_translation_server.media.tasks import Footage
from video_translation_server.model import Change, Job
from video_translation_server.simulation.inspection import NOTHING_LEFT, Refusal
from video_translation_server.simulation.planner import Planner
from video_translation_server.store import Store
from video_translation_server.transitions import record
from video_translation_server.wire.requests import part_seconds

log = structlog.get_logger("preflight")

AT_ONCE = 4
"""URLs that are looked at together."""

BATCH = 256
"""Jobs that are read in one round; those of one URL share one look."""

Inspect = Callable[[str], Awaitable[Footage | Refusal]]
"""What is at a URL."""


class Preflight:
    """Looks at the videos of jobs that wait for it."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        planner: Planner,
        *,
        inspect: Inspect | None,
        links: Links,
        poll_interval: float,
    ) -> None:
        """Nothing runs until `run`. Without `inspect`, nobody looks, and what waits still begins as it was planned."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._planner = planner
        self._inspect = inspect
        self._links = links
        self._poll_interval = poll_interval
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            with self._store.bells.jobs.listen() as bell:
                while True:
                    bell.clear()
                    self._begin(await self._store.jobs_in_preflight(BATCH), bell)
                    await self._clock.wait(bell, self._clock.now() + self._poll_interval)
        finally:
            for look in self._under_way.values():
                look.cancel()
            await asyncio.gather(*self._under_way.values(), return_exceptions=True)

    def _begin(self, jobs: list[Job], bell: asyncio.Event) -> None:
        """Look at the URLs of the jobs that nobody looks at, as far as there is room."""
        by_url: dict[str, list[Job]] = defaultdict(list)
        for job in jobs:
            by_url[job.request["video"]["url"]].append(job)
        for url, waiting in by_url.items():
            if len(self._under_way) < AT_ONCE and url not in self._under_way:
                look = self._under_way[url] = asyncio.create_task(self._check(url, waiting), name=f"look at {url}")
                look.add_done_callback(partial(self._end, url, bell))

    def _end(self, url: str, bell: asyncio.Event, look: asyncio.Task[None]) -> None:
        del self._under_way[url]
        if look.cancelled():
            return
        if (error := look.exception()) is None:
            bell.set()
        else:  # without the bell: the next round comes with the next poll, and tries again
            log.error("preflight failed; it is tried again", url=url, exc_info=error)

    async def _check(self, url: str, jobs: list[Job]) -> None:
        found = None if self._inspect is None else await self._inspect(url)
        for job in jobs:
            with suppress(NotFoundError):  # the simulator has begun again from nothing
                await self._settle(job, found)

    async def _settle(self, job: Job, found: Footage | Refusal | None) -> None:
        while job.in_preflight:
            changes = self._changes(job, found)
            if all(await record(self._store, changes)):
                return
            # It has another title now, or somebody has moved or ended it.
            job = await self._store.job(None, job.id)

    def _changes(self, job: Job, found: Footage | Refusal | None) -> list[Change]:
        now = self._clock.now()
        seconds = None
        if isinstance(found, Footage):
            seconds = part_seconds(found.seconds, job.request.get("start_time"), job.request.get("end_time"))
            if seconds is not None and seconds <= 0:
                found = NOTHING_LEFT
        if isinstance(found, Refusal):
            return [self._refused(job, found, now)]
        plan = job.plan if seconds is None else self._planner.fit(job.plan, seconds)
        begun = lifecycle.admit(job, plan, event_id=self._ids("evt"), now=now)
        return lifecycle.unfold(begun, ids=self._ids, now=now, links=self._links)

    def _refused(self, job: Job, refusal: Refusal, now: float) -> Change:
        event_id = self._ids("evt")
        message = self._planner.failure_text(refusal.preset) + refusal.details
        return lifecycle.refuse(job, message, event_type=refusal.event_type, event_id=event_id, now=now)
