"""Verbs of the store: the clock that is kept, an empty store, and upkeep by age.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from typing import Protocol

from video_translation_server.clock import ClockState
from video_translation_server.store.base.filters import Retention


class SimulatorVerbs(Protocol):
    """The clock that is kept, an empty store, and upkeep by age."""

    async def clock(self) -> ClockState | None:
        """The state of the clock that was kept last, if any."""
        ...

    async def keep_clock(self, state: ClockState) -> None:
        """Keep the state of the clock; a power failure may undo it, together with everything that came after it."""
        ...

    async def begin_chapter(self) -> int:
        """A number that this store has not given before, from 1 on: of it and a seed ids are made (decision 0030)."""
        ...

    async def next_endpoint_expiry(self) -> float | None:
        """When the first endpoint's ttl runs out, or None."""
        ...

    async def erase(self) -> None:
        """Delete everything but workspaces, their keys, the files' key and the clock.

        Positions and ids are not used again. Claims are lost, also those under way.
        """
        ...

    async def prune(self, now: float, *, retention: Retention, after: int, chunk: int) -> int | None:
        """Delete what retention no longer keeps, among the `chunk` deliveries behind id `after`.

        Returns:
            The id to go on behind, or None at the end: then old events without deliveries are deleted too.
        """
        ...
