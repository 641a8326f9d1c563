"""`GET /v3/webhooks/events`: the event log, backwards as history, forwards as the catch-up door."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Response

from video_translation_server.api.answers import Limit, Token, decode_token, encode_token, page
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.errors import GoneError, InvalidError, NotFoundError
from video_translation_server.model import Event
from video_translation_server.store import EventFilter
from video_translation_server.wire.events import EVENT_TYPES
from video_translation_server.wire.responses import EventPage

router = APIRouter(prefix="/v3/webhooks", tags=["events"], responses=RESPONSES)

CURSOR = "cur_"


@router.get("/events", response_model=EventPage)
async def list_(
    *,
    workspace: Workspace,
    context: Surroundings,
    limit: Limit = 10,
    token: Token = None,
    after: Annotated[str | None, Query(max_length=255, description="An event id or a cursor: read forward")] = None,
    event_type: Annotated[str | None, Query(max_length=255, json_schema_extra={"enum": [*EVENT_TYPES]})] = None,
    entity_id: Annotated[str | None, Query(max_length=255, description="A job's id, or a batch's")] = None,
    video_translate_id: Annotated[str | None, Query(max_length=255, description="A job id")] = None,
) -> Response:
    """Newest first; with `after`, from just behind that point in log order."""
    wanted = EventFilter(
        type=None if event_type is None else known_type(event_type),
        entity_id=entity_filter(entity_id, video_translate_id),
    )
    if after is None:
        return await _history(context, workspace, limit, token, wanted)
    if token is not None:
        raise InvalidError("`after` and `token` exclude each other; read on with `after=<cursor>`", param="token")
    position = await position_of(context, workspace, after, param="after")
    # One more than asked for tells whether there is another page.
    events, read_to = await context.store.events_after(workspace, position, limit=limit + 1, wanted=wanted)
    more = len(events) > limit
    cursor = encode_cursor(events[limit - 1].position if more else read_to)
    return page(_bodies(events[:limit]), None, cursor=cursor, has_more=more)


async def _history(context: Context, workspace: str, limit: int, token: str | None, wanted: EventFilter) -> Response:
    before = decode_token("events", token)
    events = await context.store.events_before(workspace, before, limit=limit + 1, wanted=wanted)
    place = events[limit - 1].position if len(events) > limit else None
    return page(_bodies(events[:limit]), encode_token("events", place))


def _bodies(events: Sequence[Event]) -> list[msgspec.Raw]:
    """The very bytes that webhooks carry."""
    return [msgspec.Raw(event.body) for event in events]


def known_type(name: str) -> str:
    """The type that a filter names.

    Raises:
        InvalidError: There is none of that name.
    """
    if name not in EVENT_TYPES:
        raise InvalidError(f"unknown event type {name!r}; GET /v3/webhooks/event-types lists them", param="event_type")
    return name


def entity_filter(entity_id: str | None, video_translate_id: str | None) -> str | None:
    """The job or batch that the two parameters name, if any.

    Raises:
        InvalidError: They name two.
    """
    if entity_id is not None and video_translate_id not in (None, entity_id):
        raise InvalidError("entity_id and video_translate_id name different jobs; give one of them", param="entity_id")
    return video_translate_id or entity_id


async def position_of(context: Context, workspace: str, after: str, *, param: str) -> int:
    """The log position that an event id or a cursor names.

    Raises:
        InvalidError: It names nothing in this log.
        GoneError: The log no longer goes back to it.
    """
    number = after.removeprefix(CURSOR)
    if after.startswith(CURSOR) and number.isascii() and number.isdigit() and len(number) < 19:  # noqa: PLR2004  (SQLite's integers end there)
        return await _known_position(context, int(number), param)
    try:
        return await context.store.event_position(workspace, after)
    except NotFoundError:
        raise InvalidError(f"no event or cursor {after!r} in this log", param=param) from None


async def _known_position(context: Context, position: int, param: str) -> int:
    if await _is_ahead(context, position):
        raise InvalidError("this cursor is ahead of the log: it is of another server", param=param)
    oldest = await context.store.first_position() - 1
    if position < oldest:
        raise GoneError(
            f"the log no longer goes back to this cursor; the oldest is {encode_cursor(oldest)}", param=param
        )
    return position


async def _is_ahead(context: Context, position: int) -> bool:
    if position <= await context.store.last_position():
        return False
    # A store that was set back under a running server raises its log's end before its next commit (decision 0035).
    await context.store.ping()
    return position > await context.store.last_position()


def encode_cursor(position: int) -> str:
    """A log position as callers see it."""
    return f"{CURSOR}{position}"
