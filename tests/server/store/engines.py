"""The engines that the conformance suite runs against, and what a test may ask of any of them.

No test names an engine, but for those of one engine's own files (test_sqlite_*.py, test_postgres_*.py).
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from tests.server.store.lending import LendingDatabase
from video_translation_server.ids import random_id
from video_translation_server.store import Store
from video_translation_server.store.base.rules import DISABLE_AFTER, Rules
from video_translation_server.store.postgres import PostgresStore
from video_translation_server.store.postgres.simulator import ERASED, erase
from video_translation_server.store.sqlite import SqliteStore

Reopen = Callable[[], Awaitable[Store]]
"""Closes the store that is open and opens the same one again."""


class RealTime:
    """The time that leases run on; it stands still until a test moves it."""

    def __init__(self) -> None:
        self._now = 5_000.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


class Engine(Protocol):
    """How the suite gets a store of one kind.

    Attributes:
        sequences: How many random sequences of verbs are tried (test_stateful.py): what takes some five seconds.
    """

    name: str
    sequences: int

    async def open(self, folder: Path, real_time: RealTime) -> Store:
        """The store that belongs to `folder`: empty at first, the same one whenever it is opened again.

        An engine that enforces references also has the workspace `builders.OTHER_WORKSPACE`.
        """
        ...


class SqliteEngine:
    name = "sqlite"
    sequences = 20

    async def open(self, folder: Path, real_time: RealTime) -> Store:
        return await SqliteStore.open(folder / "store.db", real_time=real_time, lease_time=real_time)


# Nearly every test settles on the day of `builders.NOW` only; what others leave would be emptied before each test.
_DROP_OTHER_DAYS = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT inhrelid::regclass FROM pg_inherits
    WHERE inhparent IN ('settled_delivered'::regclass, 'settled_failed'::regclass)
      AND inhrelid::regclass::text NOT LIKE '%_20270115'
  LOOP EXECUTE 'DROP TABLE ' || name; END LOOP;
END $$
"""

_SIZE = """
SELECT sum(pg_relation_size(oid)) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'video_translation'::regnamespace
"""
MUCH = 1_000_000
"""Bytes in tables from which on they are truncated: to delete a few rows takes a thirtieth of that time."""


class PostgresEngine:
    """All stores are one database, emptied for each folder, and they use the same connections one after the other.

    A database takes longer to make than a test to run, and so do a store's five connections.
    """

    name = "postgres"
    sequences = 6

    def __init__(self, url: str) -> None:
        self.url = url
        self._database = LendingDatabase(url)
        self._folder: Path | None = None

    async def open(self, folder: Path, real_time: RealTime) -> Store:
        if folder != self._folder:
            await self._empty()
            self._folder = folder
        return await PostgresStore.on(self._database, Rules(random_id, DISABLE_AFTER), real_time=real_time)

    async def _empty(self) -> None:
        if self._folder is None:
            await self._database.prepare()
        connection = await self._database.connect()
        await connection.execute(_DROP_OTHER_DAYS)
        if await connection.fetchval(_SIZE) > MUCH:
            await erase(connection)
        else:
            await connection.execute("; ".join(map("DELETE FROM {}".format, ERASED.split(", "))))
            await connection.execute("UPDATE kept SET delivered_since = 0, failed_since = 0")
        await connection.execute(
            "DELETE FROM keys; DELETE FROM clock; DELETE FROM workspaces WHERE id <> 'ws_default'; "
            "UPDATE workspaces SET secret = NULL; UPDATE log SET position = 0; ALTER SEQUENCE chapters RESTART"
        )
        await connection.close()

    async def close(self) -> None:
        """Let go of the connections; all stores must be closed."""
        await self._database.shelf.clear()


class Bench:
    """One store on the bench: opened, closed and opened again, its leases' time in the test's hand."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.real_time = RealTime()
        self._engine = engine
        self._folder = folder
        self._open: Store | None = None

    async def open(self) -> Store:
        self._open = await self._engine.open(self._folder, self.real_time)
        return self._open

    async def close(self) -> None:
        if self._open is not None:
            await self._open.close()
            self._open = None

    async def reopen(self) -> Store:
        await self.close()
        return await self.open()
