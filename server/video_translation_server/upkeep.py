"""Housekeeping beside the main road: endpoints run out, old rows go, sweeps walk on.

Everything goes in small steps, each a short transaction, so that delivery never waits long for it.
"""

import asyncio
import time
from collections.abc import Callable

import structlog

from video_translation_server.clock import Clock
from video_translation_server.media.gallery import Gallery
from video_translation_server.shelf import Shelf
from video_translation_server.store import Retention, Store

log = structlog.get_logger("upkeep")

PRUNE_EVERY = 60.0
"""Seconds between two rounds of pruning."""

SEARCH_EVERY = 3600.0
"""Seconds between two searches for files that nothing knows."""

STRANGE_AFTER = 3600.0
"""Real seconds after which a file must have its row; an upload puts the file first."""

CHUNK = 200
"""Rows looked at per step."""

BACKLOG = 1000
"""Deliveries that may wait for an endpoint before a sweep adds more."""


class Upkeep:
    """Expires endpoints every `interval` seconds, and prunes once a minute."""

    def __init__(
        self,
        store: Store,
        shelf: Shelf,
        gallery: Gallery,
        clock: Clock,
        retention: Retention,
        *,
        interval: float,
        real_time: Callable[[], float] = time.time,
    ) -> None:
        """Nothing runs until `run`; what lies in folders is judged by `real_time` (Unix seconds), as its files are."""
        self._store = store
        self._shelf = shelf
        self._gallery = gallery
        self._real_time = real_time
        self._clock = clock
        self._retention = retention
        self._interval = interval
        self._pruned_at = self._searched_at = float("-inf")

    async def run(self) -> None:
        """Keep house until cancelled."""
        while True:
            await self.tick()
            await self._clock.wait(asyncio.Event(), self._clock.now() + self._interval)

    async def tick(self) -> None:
        """One round."""
        await self.expire()
        now = self._clock.now()
        if now >= self._pruned_at + PRUNE_EVERY:
            self._pruned_at = now
            await self.prune()
        if now >= self._searched_at + SEARCH_EVERY:
            self._searched_at = now
            await self.drop_strangers()

    async def expire(self) -> None:
        """Delete the endpoints that nobody has renewed."""
        for endpoint_id in await self._store.expire_endpoints(self._clock.now()):
            log.info("endpoint expired", endpoint_id=endpoint_id)

    async def prune(self) -> None:
        """One round of pruning, step by step; between two steps others' verbs get their turn."""
        while await self._store.prune_requests(self._clock.now(), limit=CHUNK) == CHUNK:
            pass
        after: int | None = 0
        while after is not None:
            after = await self._store.prune(self._clock.now(), retention=self._retention, after=after, chunk=CHUNK)
        before = self._clock.now() - self._retention.assets
        while old := await self._store.old_assets(before, limit=CHUNK):
            # The files first: a row without a file is found again, a file without a row is not.
            for asset_id in old:
                await asyncio.to_thread(self._shelf.drop, asset_id)
            await self._store.delete_assets(old)
        unused = self._real_time() - self._retention.films
        await asyncio.to_thread(self._gallery.prune, before=unused, most_bytes=self._retention.film_bytes)

    async def drop_strangers(self) -> None:
        """Delete old files on the shelf that the store does not know: a crash came between the file and its row."""
        found = await asyncio.to_thread(self._shelf.old_files, self._real_time() - STRANGE_AFTER)
        for start in range(0, len(found), CHUNK):
            ids = found[start : start + CHUNK]
            known = await self._store.known_assets(ids)
            for asset_id in ids:
                if asset_id not in known:
                    log.info("file without an asset deleted", asset_id=asset_id)
                    await asyncio.to_thread(self._shelf.drop, asset_id)


class Sweeping:
    """Carries out what `recover` and `replay` have asked for."""

    def __init__(self, store: Store, clock: Clock, *, interval: float) -> None:
        """Nothing runs until `run`; `interval` is seconds."""
        self._store = store
        self._clock = clock
        self._interval = interval

    async def run(self) -> None:
        """Walk on until cancelled: at once while a sweep can go on, else when something happens or is due."""
        with self._store.bells.sweeps.listen() as bell:
            while True:
                bell.clear()
                if not await self.step():
                    await self._clock.wait(bell, self._clock.now() + self._interval)

    async def step(self) -> bool:
        """Walk on by one step; True while another one can follow at once."""
        return await self._store.advance_sweeps(self._clock.now(), chunk=CHUNK, backlog=BACKLOG)
