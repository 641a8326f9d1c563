"""The event log, read forwards and backwards. In SQLite.

What each verb promises is in `store.base.log`, what it does in SQL in the noun modules.
"""

import apsw

from video_translation_server.model import Event
from video_translation_server.store.base import EventFilter
from video_translation_server.store.sqlite import log
from video_translation_server.store.sqlite.engine import Engine


class LogVerbs(Engine):
    """The event log, read forwards and backwards."""

    async def events_after(
        self, workspace_id: str | None, position: int, *, limit: int, wanted: EventFilter
    ) -> tuple[list[Event], int]:
        """Events behind a log position."""

        def query(connection: apsw.Connection) -> tuple[list[Event], int]:
            with connection:  # one snapshot: what commits between two looks would be passed over
                found = log.events_after(connection, workspace_id, position, limit, wanted)
            return found  # noqa: RET504  (apsw's type says that its `with` may swallow an error)

        return await self._read(query)

    async def events_before(
        self, workspace_id: str, position: int | None, *, limit: int, wanted: EventFilter
    ) -> list[Event]:
        """Events before a log position, the newest first."""
        return await self._read(lambda connection: log.events_before(connection, workspace_id, position, limit, wanted))

    async def first_position(self) -> int:
        """The log position of the oldest event that is kept."""
        return await self._read(log.first_position)

    async def event_position(self, workspace_id: str, event_id: str) -> int:
        """Where an event stands in the log."""
        return await self._read(lambda connection: log.event_position(connection, workspace_id, event_id))

    async def last_position(self) -> int:
        """The log position of the newest event."""
        return await self._read(log.last_position)
