"""Verbs of the store: the event log, read forwards and backwards.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from typing import Protocol

from video_translation_server.model import Event
from video_translation_server.store.base.filters import EventFilter


class LogVerbs(Protocol):
    """The event log, read forwards and backwards."""

    async def events_after(
        self, workspace_id: str | None, position: int, *, limit: int, wanted: EventFilter
    ) -> tuple[list[Event], int]:
        """Events behind a log position in log order, and the position up to which the log was read.

        Without a workspace, those of all of them.
        """
        ...

    async def events_before(
        self, workspace_id: str, position: int | None, *, limit: int, wanted: EventFilter
    ) -> list[Event]:
        """Events before a log position (None: the end), the newest first."""
        ...

    async def first_position(self) -> int:
        """The log position of the oldest event that is kept, of all workspaces; 0 for a log that begins there."""
        ...

    async def event_position(self, workspace_id: str, event_id: str) -> int:
        """Where an event stands in the log.

        Raises:
            NotFoundError: The workspace has no such event.
        """
        ...

    async def last_position(self) -> int:
        """The log position of the newest event of all workspaces, 0 for an empty log."""
        ...
