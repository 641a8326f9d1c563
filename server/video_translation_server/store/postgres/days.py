"""The days of what is settled: a partition each, made before it is needed, dropped whole when nothing in it is kept.

Works on connections beside the writers': they wait for a partition of theirs to be made before they begin, and never
for longer than a moment for one to be dropped. What goes into them is the business of `settled`.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import asyncpg
import structlog

from video_translation_server.store.postgres.database import (
    AGAIN,
    DROPPING_DAYS,
    FAILURES,
    LOCKS,
    MAKING_DAYS,
    Connection,
    Database,
    as_ours,
    let_go,
)

log = structlog.get_logger("store")

T = TypeVar("T")

DAY = 86_400.0

KINDS = 2
"""Partitions of one day: of what was delivered, and of what failed."""

AHEAD = 2
"""For so many days after today partitions are made before they are needed."""

LATE = DAY
"""Seconds after the end of a day in which it is not dropped, however little is kept: somebody may still be about to
settle what ended on it."""

LOCK_TIMEOUT = "100ms"
"""How long dropping waits for each of its locks, the parent's and its own. Whoever settles or reads waits behind it."""

SCAN_TIMEOUT = 600.0
"""Seconds that a look through a whole day may take."""

_HOLD_MAKING = "SELECT pg_advisory_xact_lock($1, $2)"
_MAKE = "SELECT make_day(day) FROM unnest($1::integer[]) AS day ORDER BY day"

_TRY_DROPPING = "SELECT pg_try_advisory_lock($1, $2)"
_IS_THERE = "SELECT to_regclass($1) IS NOT NULL"
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

    def __init__(self, database: Database, run: Run) -> None:
        """Nothing is made or dropped until it is asked for."""
        self._database = database
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
        """The database may be an earlier copy of itself from here on: what is known of it is found out anew."""
        self._made.clear()
        self._forgotten.clear()

    async def make_ahead(self, now: float) -> None:
        """Have partitions for today and the next days."""
        await self.cover(now + days * DAY for days in range(AHEAD + 1))

    async def drop_old(self, now: float) -> None:
        """Drop the partitions in which nothing is kept; those that are in use another time.

        Raises:
            StoreError: The database cannot be reached.
        """
        found = await self._run(_partitions)
        days = Counter(partition.day for partition in found)
        self._made &= {day for day, kinds in days.items() if kinds == KINDS}
        self._forgotten &= {partition.name for partition in found}
        old = [partition for partition in found if partition.is_over(now)]
        self._made -= {partition.day for partition in old}  # where the clock was ahead, they are needed once more
        if old:
            try:
                await self._drop(partition.name for partition in old)
            except FAILURES as error:
                raise as_ours(error) from error

    async def _drop(self, names: Iterable[str]) -> None:
        """On a connection of its own, with which its lock ends: one server drops, for the others nothing is left."""
        connection = await self._database.connect()
        try:
            if await connection.fetchval(_TRY_DROPPING, LOCKS, DROPPING_DAYS):
                for name in names:
                    if await connection.fetchval(_IS_THERE, name):
                        await self._drop_one(connection, name)
        finally:
            await let_go(connection)

    async def _drop_one(self, connection: Connection, name: str) -> None:
        try:
            if name not in self._forgotten:
                # By itself, so that no endpoint is held while dropping waits for its lock.
                await connection.execute(_FORGET.format(name=name), timeout=SCAN_TIMEOUT)
                self._forgotten.add(name)
            async with connection.transaction():
                await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await connection.execute(f"DROP TABLE {name}")
        except (asyncpg.LockNotAvailableError, *AGAIN):
            log.info("partition is in use and stays for now", partition=name)
        else:
            log.info("partition dropped", partition=name)


async def _make(connection: Connection, days: list[int]) -> None:
    """Make what is missing of these days; several servers at once do so one after the other."""
    async with connection.transaction():
        await connection.execute(_HOLD_MAKING, LOCKS, MAKING_DAYS)
        await connection.execute(_MAKE, days)


async def _partitions(connection: Connection) -> list[_Partition]:
    rows = await connection.fetch(_PARTITIONS)
    return [_Partition(name, since) for name, since in rows if re.fullmatch(r"settled_[a-z]+_\d{8}", name)]
