"""The calls about the event log: each as data, with its reader.

When the log is read, and what follows from it, is decided elsewhere.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from video_translation_client._errors import APIError
from video_translation_client._models import Event, read_event
from video_translation_client._operations.operation import PAGE_SIZE, Operation, next_token, read_list

logger = logging.getLogger("video_translation_client")

_EVENTS: Final = "/v3/webhooks/events"
_CURSOR: Final = re.compile(r"cur_([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class EventPage:
    """One page of the event log, and where to read on: from the cursor forward, by the token backward.

    `forward` says whether the service itself named the cursor: only one that reads forward does.
    """

    events: tuple[Event, ...]
    has_more: bool
    cursor: str | None
    next_token: str | None = None
    forward: bool = False


def list_events(
    after: str | None = None,
    *,
    job_id: str | None = None,
    event_type: str | None = None,
    token: str | None = None,
    limit: int = PAGE_SIZE,
) -> Operation[EventPage]:
    """Read the event log forward from just behind `after`; without it, the newest events first.

    Args:
        after: an event id, or the `cursor` of an endpoint or a page.
        job_id: only this job's events.
        event_type: only events of this type.
        token: of a page further back, where `after` is None.
        limit: how many at most, up to 100.
    """
    filters = {"after": after, "video_translate_id": job_id, "event_type": event_type, "token": token}
    query: dict[str, str | int] = {"limit": limit}
    query |= {name: value for name, value in filters.items() if value is not None}
    return Operation("list_events", "GET", _EVENTS, _read_events, query=query, repeatable=True)


def oldest_cursor(refusal: APIError) -> str | None:
    """Return the oldest place that the log still has, as the refusal of an older one names it; else None."""
    named = [match[0] for match in _CURSOR.finditer(str(refusal))] if refusal.code == "cursor_expired" else []
    return named[-1] if named else None


def stream_events(event_types: Sequence[str] = ()) -> Operation[None]:
    """Follow the event log as it grows; the answer is a stream of server-sent events and never ends by itself.

    Args:
        event_types: only these; none means all that need not be asked for by name.
    """
    query = {"event_type": ",".join(event_types)} if event_types else {}
    return Operation("stream_events", "GET", "/v3/events/stream", lambda _: None, query=query)


def list_event_types() -> Operation[dict[str, str]]:
    """Read every type of event with what it tells."""
    return Operation("list_event_types", "GET", "/v3/webhooks/event-types", _read_types, repeatable=True)


def _read_events(answer: Any) -> EventPage:
    events = tuple(event for item in read_list(answer) if (event := _readable(item)) is not None)
    cursor = answer.get("cursor") or (events[-1].id if events else None)
    return EventPage(events, bool(answer.get("has_more")), cursor, next_token(answer), bool(answer.get("cursor")))


def _read_types(answer: Any) -> dict[str, str]:
    items = [item for item in read_list(answer) if isinstance(item, Mapping) and "event_type" in item]
    return {str(item["event_type"]): str(item.get("description", "")) for item in items}


def _readable(item: Any) -> Event | None:
    try:
        return read_event(item)
    except ValueError as error:
        # One item that nobody can read must not hide all that follow it in the log.
        logger.warning("an item of the event log is skipped: %s", error)
        return None
