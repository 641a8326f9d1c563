"""What every verb of the embedded engine stands on: the writer, the readers, the bells, and their end.

How commits are grouped is in `writer`, whose file it is in `database`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from random import SystemRandom
from threading import local
from typing import TypeVar

import apsw

from video_translation_server.errors import StoreError
from video_translation_server.probe import Probe
from video_translation_server.store.base import Bell, Bells, Keep, Taker
from video_translation_server.store.base.rules import Rules
from video_translation_server.store.sqlite import log, requests
from video_translation_server.store.sqlite.database import Database
from video_translation_server.store.sqlite.handover import Handover
from video_translation_server.store.sqlite.recipients import Recipients
from video_translation_server.store.sqlite.writer import Writer

T = TypeVar("T")

READERS = 2


class Engine:
    """One SQLite file with its threads."""

    def __init__(
        self,
        database: Database,
        rules: Rules,
        real_time: Callable[[], float],
        lease_time: Callable[[], float],
        probe: Probe,
    ) -> None:
        """Start the threads; needs a running event loop. `open` is the door."""
        self._database = database
        self._rules = rules
        self._real_time = real_time
        self._lease_time = lease_time
        self._looked_at = float("-inf")
        self._first_lease_ends = float("inf")
        self._bells = Bells()
        self._fences = SystemRandom()
        self._connections: list[apsw.Connection] = []
        self._reader = local()
        self._readers = ThreadPoolExecutor(READERS, "store-reader")
        self._glances = database.connect(readonly=True)
        written = database.connect(readonly=False)
        self._handover = Handover(written)
        self._recipients = Recipients(written)
        self._takers: list[Taker] = []
        self._fan_out = 1
        """Deliveries that an event led to when one was handed over last: how much room to ask for."""
        self._writer = Writer(written, probe)

    def _query(self, query: Callable[[apsw.Connection], T]) -> T:
        """Run a query on its thread's connection, made where there is none: that may fail now and succeed later."""
        if not hasattr(self._reader, "connection"):
            self._reader.connection = self._database.connect(readonly=True)
            self._connections.append(self._reader.connection)
        return query(self._reader.connection)

    async def _read(self, query: Callable[[apsw.Connection], T]) -> T:
        """Run a query on a reader's own snapshot: what was committed before this call is in it."""
        try:
            reading = asyncio.get_running_loop().run_in_executor(self._readers, self._query, query)
        except RuntimeError:
            raise StoreError("the store is closed") from None
        try:
            return await reading
        except apsw.Error as error:
            raise _unreadable(error) from error

    async def _glance(self, query: Callable[[apsw.Connection], T]) -> T:
        """Run a query of a few rows, as the loops ask after each commit: going to a thread would cost more."""
        if not self._writer.is_patient:
            return await self._read(query)
        try:
            return query(self._glances)
        except apsw.ConnectionClosedError:
            raise StoreError("the store is closed") from None
        except apsw.Error as error:
            raise _unreadable(error) from error

    async def _write(self, verb: Callable[[apsw.Connection], T], *bells: Bell, keep: Keep[T] | None = None) -> T:
        """Run a verb in the next transaction, with the answer to its request where one is to be kept."""
        return await self._writer.run(requests.keeping(verb, keep), *bells)

    @property
    def bells(self) -> Bells:
        """The bells that commits ring."""
        return self._bells

    @property
    def is_shared(self) -> bool:
        """False: the file has one owner."""
        return False

    async def schema_version(self) -> int:
        """The version of the file's schema."""
        return await self._read(lambda connection: int(connection.pragma("user_version")))

    async def real_now(self) -> float:
        """The machine's time."""
        return self._real_time()

    async def close(self) -> None:
        """Finish the verbs that were asked for, then let go of the file."""
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
        self._glances.close()
        # Last, because only the last connection to leave, and one that may write, empties the WAL into the file.
        await self._writer.close()
        self._database.close()

    async def ping(self) -> None:
        """Return when the database can commit."""
        await self._writer.run(log.last_position)


def _unreadable(error: apsw.Error) -> StoreError:
    return StoreError(f"the database could not be read: {error}")
