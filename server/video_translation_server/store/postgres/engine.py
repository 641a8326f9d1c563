"""What every verb of the PostgreSQL engine stands on: two writers, readers, the bells, and their end.

The log's writer records jobs, events and endpoints; the queue's writer leases and settles. They are two so that neither
waits for the other's disk, and so that their locks are always taken in one order (decision 0027).
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

from video_translation_server.errors import StoreError
from video_translation_server.probe import Probe
from video_translation_server.store.base import Bell, Bells, Keep
from video_translation_server.store.base.rules import Rules
from video_translation_server.store.postgres import claims, line, log, requests, turns
from video_translation_server.store.postgres.database import (
    AGAIN,
    BY_INDEX,
    Connection,
    Database,
    as_ours,
    schema_version,
)
from video_translation_server.store.postgres.days import Days
from video_translation_server.store.postgres.doorbell import Doorbell
from video_translation_server.store.postgres.jobs import Recorder, Recording
from video_translation_server.store.postgres.late_ring import LateRing
from video_translation_server.store.postgres.server import Looks, Server, real_now
from video_translation_server.store.postgres.session import Session
from video_translation_server.store.postgres.verb import EACH, One, Verb
from video_translation_server.store.postgres.writer import TRIES, Writer

T = TypeVar("T")

READERS = 4

AGAIN_AFTER = 0.02
"""Seconds after which a claim is worth another try that another server's claim was in the way of."""


class Engine:
    """One server's share of a PostgreSQL database."""

    def __init__(self, database: Database, pool: Any, server: Server, rules: Rules, probe: Probe) -> None:
        """Start the tasks; needs a running event loop. `open` is the door."""
        self._pool = pool
        self._server = server
        self._rules = rules
        self._closed = False
        self._bells = Bells()
        self._days = Days(database, self._read)
        self._log = Writer(Session(database, "log", self._greet_log), self._days, probe)
        self._queue = Writer(Session(database, "queue", self._greet, settings=BY_INDEX), self._days, probe)
        self._doorbell = Doorbell(Session(database, "doorbell"), self._bells)
        self._late_ring = LateRing(self._bells.deliveries, AGAIN_AFTER)
        self._recording: Verb[Recording, list[bool]] = Verb(Recorder(rules.ids).record)
        self._record_bells = (self._bells.jobs, self._bells.deliveries, self._bells.events)
        self._given: dict[str, int] = {}
        """The jobs that are this server's to move, and the version that each had."""
        self._looks = Looks(server)
        self._looks_ahead = Looks(server, turns.AHEAD)
        """For what is too late by a clock that was ahead."""
        self._per_endpoint = 0
        """The limit per endpoint that was claimed by last."""

    async def _greet(self, _: Connection) -> None:
        """What a writer's new connection leads to may be an earlier copy of the database."""
        self._days.doubt()

    async def _greet_log(self, connection: Connection) -> None:
        await self._greet(connection)
        await log.leave_room(connection)

    async def _read(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a query: what was committed before this call is in it. A connection that was lost is replaced once."""
        try:
            return await self._query(query)
        except (*AGAIN, StoreError):
            return await self._query(query)

    async def _query(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        try:
            async with self._pool.acquire() as connection:
                return await query(connection)
        except AGAIN:
            raise
        except Exception as error:
            raise as_ours(error) from error

    async def _lease(self, query: Callable[[Connection], Awaitable[T]]) -> T:
        """Run a short transaction of its own whose outcome holds for a while only: it does not wait for the disk."""

        async def leasing(connection: Connection) -> T:
            async with connection.transaction():
                await connection.execute("SET LOCAL synchronous_commit = off")
                return await query(connection)

        for _ in range(TRIES):
            try:
                return await self._query(leasing)
            except AGAIN:
                continue
        raise StoreError("the database is too busy; try again")

    async def _write(
        self,
        wish: One[T],
        *bells: Bell,
        keep: Keep[T] | None = None,
        verb: Verb[One[Any], Any] = EACH,
        settling_at: Iterable[float] = (),
    ) -> T:
        """Run a verb in the log's next transaction, with the answer to its request where one is to be kept."""
        value: T = await self._log.run(verb, requests.keeping(wish, keep), *bells, settling_at=settling_at)
        self._doorbell.ring(bells)
        return value

    @property
    def bells(self) -> Bells:
        """The bells that commits ring, ours and those of the other servers."""
        return self._bells

    @property
    def is_shared(self) -> bool:
        """True: other servers may have the database open too."""
        return True

    async def schema_version(self) -> int:
        """The version of the database's schema."""
        return await self._read(schema_version)

    async def real_now(self) -> float:
        """The database's time."""
        return await self._read(lambda connection: real_now(connection, self._server))

    async def close(self) -> None:
        """Finish the verbs that were asked for, give our leases back, then let go of the database."""
        if self._closed:
            return
        await self._queue.close(last=lambda connection: claims.release_all(connection, self._server))
        await self._log.close(last=lambda connection: requests.drop_all(connection, self._server))
        with contextlib.suppress(StoreError):  # the leases then run out by themselves
            await self._lease(lambda connection: line.give_back(connection, list(self._given), self._server))
        self._closed = True
        self._late_ring.cancel()
        await self._doorbell.close()
        await self._pool.close()

    async def ping(self) -> None:
        """Return when the database can commit."""
        await self._log.run(EACH, log.last_position)
