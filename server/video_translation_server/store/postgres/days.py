"""The days of what is settled: a partition each, made before it is needed, dropped whole when nothing in it is kept.

Works on connections of the readers, beside the writers: no transaction that settles waits for a partition to be made,
and none for longer than a moment for one to be dropped. What goes into them is the business of `settled`.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import asyncpg
import structlog

from video_translation_server.store.postgres.database import DROPPING_DAYS, LOCKS, MAKING_DAYS, Connection

log = structlog.get_logger("store")

T = TypeVar("T")

DAY = 86_400.0

AHEAD = 2
"""For so many days after today partitions are made before they are needed."""

LATE = DAY
"""Seconds after the end of a day in which it is not dropped, however little is kept: somebody may still be about to
settle what ended on it."""

LOCK_TIMEOUT = "100ms"
"""How long dropping waits for its lock. Whoever settles or reads waits behind it meanwhile."""

SCAN_TIMEOUT = 600.0
"""Seconds that a look through a whole day may take."""

_HOLD_MAKING = "SELECT pg_advisory_xact_lock($1, $2)"
_MAKE = "SELECT make_day(day) FROM unnest($1::integer[]) AS day ORDER BY day"

_TRY_DROPPING = "SELECT pg_try_advisory_lock($1, $2)"
_END_DROPPING = "SELECT pg_advisory_unlock($1, $2)"
_PARTITIONS = """
SELECT c.relname, CASE WHEN i.inhparent = 'settled_delivered'::regclass THEN delivered_since ELSE failed_since END
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid, kept
WHERE i.inhparent IN ('settled_delivered'::regclass, 'settled_failed'::regclass) ORDER BY c.relname
"""
# That a delivery is missing does not mean, from then on, that nothing was sent. Endpoints are held in the order of
# their numbers, as by all who hold several.
_FORGET = """
WITH last AS MATERIALIZED (SELECT endpoint, max(event) AS event FROM {name} GROUP BY endpoint),
held AS MATERIALIZED (
  SELECT p.n FROM endpoints p JOIN last ON last.endpoint = p.n WHERE p.forgotten < last.event
  ORDER BY p.n FOR NO KEY UPDATE OF p)
UPDATE endpoints p SET forgotten = greatest(p.forgotten, last.event)
FROM held JOIN last ON last.endpoint = held.n WHERE p.n = held.n
"""


class Run(Protocol):
    """Runs a function on one of the readers' connections."""

    def __call__(self, query: Callable[[Connection], Awaitable[T]]) -> Awaitable[T]:
        """What the function returns."""
        ...


@dataclass(frozen=True, slots=True)
class _Partition:
    """A day's partition of one kind; what was settled before `since` is kept no longer."""

    name: str
    since: float

    @property
    def day(self) -> int:
        """Counted from 1970."""
        return int(datetime.strptime(self.name[-8:], "%Y%m%d").replace(tzinfo=UTC).timestamp() // DAY)

    def is_over(self, now: float) -> bool:
        """Whether nothing in it is kept, and nothing comes any more."""
        end = (self.day + 1) * DAY
        return end <= self.since and end + LATE <= now


class Days:
    """The partitions as one server knows them."""

    def __init__(self, run: Run) -> None:
        """Nothing is made or dropped until it is asked for."""
        self._run = run
        self._made: set[int] = set()
        self._forgotten: set[str] = set()

    async def cover(self, times: Iterable[float]) -> None:
        """Have partitions for what is settled at these times (Unix seconds), whoever made them.

        Raises:
            StoreError: The database cannot be reached.
        """
        missing = {int(time // DAY) for time in times} - self._made
        if missing:
            await self._run(lambda connection: _make(connection, sorted(missing)))
            self._made |= missing

    def doubt(self) -> None:
        """The database may be an earlier copy of itself from here on: what was made is looked for anew."""
        self._made.clear()

    async def make_ahead(self, now: float) -> None:
        """Have partitions for today and the next days."""
        await self.cover(now + days * DAY for days in range(AHEAD + 1))

    async def drop_old(self, now: float) -> None:
        """Drop the partitions in which nothing is kept; those that are in use another time.

        One server at a time: for the others there is nothing to do.
        """
        await self._run(lambda connection: self._drop_old(connection, now))

    async def _drop_old(self, connection: Connection, now: float) -> None:
        old = [one for one in await _partitions(connection) if one.is_over(now)]
        if not old or not await connection.fetchval(_TRY_DROPPING, LOCKS, DROPPING_DAYS):
            return
        try:
            # Looked at again: another server may have dropped some meanwhile.
            for partition in await _partitions(connection):
                if partition.is_over(now):
                    await self._drop(connection, partition)
        finally:
            if not connection.is_closed():
                await connection.execute(_END_DROPPING, LOCKS, DROPPING_DAYS)

    async def _drop(self, connection: Connection, partition: _Partition) -> None:
        if partition.name not in self._forgotten:
            # By itself, so that no endpoint is held while dropping waits for its lock.
            await connection.execute(_FORGET.format(name=partition.name), timeout=SCAN_TIMEOUT)
            self._forgotten.add(partition.name)
        try:
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(f"DROP TABLE {partition.name}")
        except asyncpg.LockNotAvailableError:
            log.info("partition is in use and stays for now", partition=partition.name)
            return
        self._forgotten.discard(partition.name)
        self._made.discard(partition.day)
        log.info("partition dropped", partition=partition.name)


async def _make(connection: Connection, days: list[int]) -> None:
    """Make what is missing of these days; several servers at once do so one after the other."""
    async with connection.transaction():
        await connection.execute(_HOLD_MAKING, LOCKS, MAKING_DAYS)
        await connection.execute(_MAKE, days)


async def _partitions(connection: Connection) -> list[_Partition]:
    rows = await connection.fetch(_PARTITIONS)
    return [_Partition(name, since) for name, since in rows if re.fullmatch(r"settled_[a-z]+_\d{8}", name)]
