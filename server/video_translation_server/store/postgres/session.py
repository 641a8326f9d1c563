"""A connection that is made anew when it is lost; the log tells when it was lost, and when it is back.

What runs on it, and what is to be run again, is the business of `writer`.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

import structlog

from video_translation_server.errors import StoreError
from video_translation_server.store.postgres.database import FAILURES, Connection, Database, history_of, let_go

Greeting = Callable[[Connection], Awaitable[None]]

log = structlog.get_logger("store")

PAUSE = 0.25
"""Seconds after a failed attempt to connect in which no other is made: callers are told at once."""


class Session:
    """One connection to the database, for one user at a time.

    Attributes:
        database: What it connects to.
        history: Whose numbers its transactions have (`history_of`); after a loss still that of the lost connection.
    """

    def __init__(
        self,
        database: Database,
        name: str,
        greet: Greeting | None = None,
        *,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is connected until `connection`; `name` tells the log whose it is, `settings` are the session's.

        `greet` runs on each new connection before anything else does: the database may be another copy by then.
        """
        self.database = database
        self.history = ""
        self._name = name
        self._greet = greet
        self._settings = settings
        self._connection: Connection | None = None
        self._lost_at: float | None = None
        self._failed_at = float("-inf")

    async def connection(self) -> Connection:
        """The connection, made anew where there is none.

        Raises:
            StoreError: The database cannot be reached at present.
        """
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        if time.monotonic() < self._failed_at + PAUSE:
            raise StoreError("the database cannot be reached")
        try:
            self._connection = await self._connect()
        except FAILURES as error:
            self._failed_at = time.monotonic()
            self._tell_lost(error)
            raise StoreError(f"the database cannot be reached: {error or type(error).__name__}") from error
        if self._lost_at is not None:
            log.info("database is back", connection=self._name, seconds=round(time.monotonic() - self._lost_at, 3))
            self._lost_at = None
        return self._connection

    async def _connect(self) -> Connection:
        connection = await self.database.connect(self._settings)
        try:
            # Once per connection: a server that crashes or is replaced takes its connections along.
            history = await history_of(connection)
            if self._greet is not None:
                await self._greet(connection)
        except BaseException:
            connection.terminate()
            raise
        self.history = history
        return connection

    def drop(self, error: BaseException) -> None:
        """Let go of a connection that is of no use any more; `error` says why."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
        self._tell_lost(error)

    async def close(self) -> None:
        """End it."""
        connection, self._connection = self._connection, None
        await let_go(connection)

    def _tell_lost(self, error: BaseException) -> None:
        if self._lost_at is None:
            self._lost_at = time.monotonic()
            log.warning("database lost", connection=self._name, error=str(error) or type(error).__name__)
