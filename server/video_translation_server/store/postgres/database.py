"""One PostgreSQL database as ours: recognised, migrated, and its connections tuned.

Everything lives in a schema of its own, so that the database may have other tenants. What is read and written
through the connections is the business of the noun modules.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeAlias

import asyncpg

from video_translation_server.errors import InvalidError, StoreError

Connection: TypeAlias = Any
"""An asyncpg connection, or a pool's stand-in for one; asyncpg ships no types."""

SCHEMA = "video_translation"

LOCKS = 0x56545253
"""The first half of our advisory locks' keys (`VTRS`); the second half says what is locked."""
MIGRATING, ADDRESSING, LINE, MAKING_DAYS, DROPPING_DAYS = 0, 1, 2, 4, 5
"""Second halves: the schema; who is addressed by events; a lane's line (LINE plus the lane's number: 2 and 3); the
partitions of what is settled."""

SWEPT = LOCKS + 1
"""The first half of the keys by which an endpoint is swept by one server at a time; the second half is its number's."""

CONNECT_TIMEOUT = 5.0
COMMAND_TIMEOUT = 30.0
"""Seconds after which a database that says nothing counts as gone."""

MIGRATION_TIMEOUT = 6 * 3600.0
"""Seconds that one step of the schema may take, or another server's steps: it may have to move every row."""

SILENT_SHARE, LEAST_SILENT, MOST_SILENT = 1 / 6, 1.0, 5.0

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TooManyConnectionsError,
    OSError,
    TimeoutError,
)
"""What says that the connection, not the statement, is at fault."""

FAILURES = (StoreError, asyncpg.PostgresError, *LOST)
"""Everything that may come of talking to the database."""

AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""What says that two transactions got into each other's way, and that the one that was told is to be run again."""

_SETTINGS = {
    "search_path": SCHEMA,
    "application_name": "video-translation-server",
    "jit": "off",
    "timezone": "UTC",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}

BY_INDEX = {"enable_seqscan": "off"}
"""For the queue: a plan that was made while a table was nearly empty is kept when it is full."""

_HISTORY = "SELECT concat_ws(' ', left(pg_walfile_name(pg_current_wal_lsn()), 8), stats_reset) FROM pg_stat_wal"


def is_lost(error: BaseException) -> bool:
    """True where the connection is at fault, and neither the statement nor its values."""
    # asyncpg's own DataError is an InterfaceError too: a value that does not fit its column's type.
    return isinstance(error, LOST) and not isinstance(error, ValueError)


def as_ours(error: BaseException) -> BaseException:
    """What callers may know of: the engine's own errors stay behind the seam."""
    if isinstance(error, asyncpg.DataError) or (isinstance(error, asyncpg.InterfaceError) and not is_lost(error)):
        return InvalidError(f"this cannot be stored: {error}")
    if is_lost(error) or isinstance(error, asyncpg.PostgresError):
        return StoreError(f"the database does not answer as it should: {str(error) or type(error).__name__}")
    return error


def longest_silence(lease: float) -> float:
    """Seconds after which the database breaks off a transaction whose server has fallen silent (frozen, or cut off).

    What it holds must not stop the others for so long that their leases run out under them, or what they have sent is
    sent again. Renewal leaves a lease two thirds; and the silent server's two writers may end one after the other,
    where one waits for the other's locks. Of a long lease 5 s are plenty; 1 s must be left to a server that is slow.
    """
    return min(max(lease * SILENT_SHARE, LEAST_SILENT), MOST_SILENT)


@dataclass(frozen=True, slots=True)
class Database:
    """Where the database is, and how long we may be silent there in a transaction, seconds."""

    url: str
    silence: float = MOST_SILENT

    async def connect(self, settings: Mapping[str, str] | None = None) -> Connection:
        """A connection of one's own, with these settings beside ours; the caller closes it."""
        return await asyncpg.connect(
            self.url,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=self._settings | dict(settings or {}),
        )

    async def pool(self, size: int) -> Any:
        """Up to `size` connections to be shared; each is made when it is first needed."""
        return await asyncpg.create_pool(
            self.url,
            min_size=0,
            max_size=size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            server_settings=self._settings,
            reset=_leave,
        )

    async def prepare(self) -> int:
        """Bring the schema to the newest version, and take a server's number; safe where several do so at once.

        Raises:
            StoreError: The database cannot be reached, or its schema is newer than we are.
        """
        try:
            connection = await self.connect()
            try:
                await migrate(connection)
                number: int = await connection.fetchval("SELECT nextval('servers')")
            finally:
                await connection.close()
        except (*FAILURES, ValueError) as error:
            raise StoreError(f"cannot open {self.shown}: {error}; give another --store") from error
        return number

    @property
    def _settings(self) -> dict[str, str]:
        return _SETTINGS | {"idle_in_transaction_session_timeout": f"{round(self.silence * 1000)}ms"}

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return re.sub(r"(://[^/@:]*):[^@]*@", r"\1:***@", self.url)


async def _leave(_: Connection) -> None:
    """Give a connection back as it is: we change no session's settings, and asking for it would cost a round trip."""


async def migrate(connection: Connection, *, to: int | None = None) -> None:
    """Apply the steps that the schema lacks, each in a transaction of its own, up to version `to` (None: the newest).

    One server at a time: the others wait, and then find nothing left to do.
    """
    await connection.execute("SELECT pg_advisory_lock($1, $2)", LOCKS, MIGRATING, timeout=MIGRATION_TIMEOUT)
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL)")
    found = await schema_version(connection)
    steps = migrations()
    if found > len(steps):
        raise StoreError(
            f"the database has schema version {found}, this server knows up to {len(steps)}: "
            "it was written by a newer version; upgrade, or give another --store"
        )
    for version, script in enumerate(steps[:to], start=1):
        if version > found:
            async with connection.transaction():
                await connection.execute(script, timeout=MIGRATION_TIMEOUT)
                await connection.execute("INSERT INTO schema_version (version) VALUES ($1)", version)
    await connection.execute("SELECT pg_advisory_unlock($1, $2)", LOCKS, MIGRATING)


async def history_of(connection: Connection) -> str:
    """What tells the history that a transaction's number belongs to: another one may give the same number out again.

    The timeline is another after each failover and each restore; and after a crash, in which the last of the WAL may
    have been lost, the statistics begin anew.

    Raises:
        asyncpg.PostgresError: It is a standby, which gives no numbers out.
    """
    history: str = await connection.fetchval(_HISTORY)
    return history


async def schema_version(connection: Connection) -> int:
    """The version that the schema has; 0 for none."""
    version: int | None = await connection.fetchval("SELECT max(version) FROM schema_version")
    return version or 0


def migrations() -> list[str]:
    """The schema's steps in order; step n leads to schema version n."""
    folder = resources.files(__package__) / "schema"
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(folder / name).read_text(encoding="utf-8") for name in names]


async def let_go(connection: Connection | None) -> None:
    """Close a connection whatever state it is in."""
    if connection is not None and not connection.is_closed():
        try:
            await asyncio.wait_for(connection.close(), 1.0)
        except FAILURES:
            connection.terminate()


def taken(error: asyncpg.UniqueViolationError) -> str:
    """The value that a unique column has already."""
    found = re.search(r"\)=\((.*)\) already exists", error.detail or "")
    return found.group(1) if found else "of this row"


def storable(texts: Iterable[str]) -> list[str]:
    """Those of some texts that a column may hold at all: PostgreSQL's text has no U+0000."""
    return [text for text in texts if "\0" not in text]
