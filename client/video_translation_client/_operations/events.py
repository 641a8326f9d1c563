"""The calls about the event log: each as data, with its reader.

When the log is read, and what follows from it, is decided elsewhere.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, Final

from video_translation_client._models import Event, read_event
from video_translation_client._operations.operation import Operation, read_list

logger = logging.getLogger("video_translation_client")

PAGE_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of the event log, and where to read on."""

    events: tuple[Event, ...]
    has_more: bool
    cursor: str | None


def list_events(after: str | None = None, *, job_id: str | None = None, limit: int = PAGE_SIZE) -> Operation[EventPage]:
    """Read the event log forward from just behind `after`; without it, the newest events."""
    query: dict[str, str | int] = {"limit": limit}
    if after is not None:
        query["after"] = after
    if job_id is not None:
        query["video_translate_id"] = job_id
    return Operation("list_events", "GET", "/v3/webhooks/events", _read_events, query=query, repeatable=True)


def _read_events(answer: Any) -> EventPage:
    events = tuple(event for item in read_list(answer) if (event := _readable(item)) is not None)
    cursor = answer.get("cursor") or (events[-1].id if events else None)
    return EventPage(events, bool(answer.get("has_more")), cursor)


def _readable(item: Any) -> Event | None:
    try:
        return read_event(item)
    except ValueError as error:
        # One item that nobody can read must not hide all that follow it in the log.
        logger.warning("an item of the event log is skipped: %s", error)
        return None
