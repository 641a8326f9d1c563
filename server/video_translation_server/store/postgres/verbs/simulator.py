"""The clock that is kept, an empty store, and upkeep by age. In PostgreSQL.

What each verb promises is in `store.base.simulator`, what it does in SQL in the noun modules.
"""

from video_translation_server.clock import ClockState
from video_translation_server.store.base import Retention
from video_translation_server.store.postgres import endpoints, pruning, simulator
from video_translation_server.store.postgres.engine import Engine
from video_translation_server.store.postgres.verb import READDRESSING


class SimulatorVerbs(Engine):
    """The clock that is kept, an empty store, and upkeep by age."""

    async def clock(self) -> ClockState | None:
        """The state of the clock that was kept last."""
        return await self._read(simulator.clock)

    async def keep_clock(self, state: ClockState) -> None:
        """Keep the state of the clock."""
        await self._lease(lambda connection: simulator.keep_clock(connection, state))

    async def begin_chapter(self) -> int:
        """A number that this store has not given before."""
        return await self._read(simulator.begin_chapter)

    async def next_endpoint_expiry(self) -> float | None:
        """When the first endpoint runs out."""
        return await self._read(endpoints.next_expiry)

    async def erase(self) -> None:
        """Delete everything but workspaces, keys and the clock."""
        await self._write(simulator.erase, self._bells.jobs, self._bells.deliveries, verb=READDRESSING)

    async def prune(self, now: float, *, retention: Retention, after: int, chunk: int) -> int | None:
        """Delete what retention no longer keeps."""
        go_on = await self._write(lambda connection: pruning.prune(connection, now, retention, after, chunk))
        if go_on is None:
            await self._days.make_ahead(now)
            await self._days.drop_old(now)
        return go_on
