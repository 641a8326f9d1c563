"""The event log in PostgreSQL: appending, and reading it in both directions. Its order is commit order (decision 0027).

Every function takes a connection and runs inside the caller's transaction.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Event
from video_translation_server.store.base import EventFilter
from video_translation_server.store.base.rules import PLACES_PER_SECOND, SUPERSEDE_AFTER
from video_translation_server.store.postgres import deliveries, lanes
from video_translation_server.store.postgres.database import Connection, taken
from video_translation_server.store.postgres.deliveries import News
from video_translation_server.store.postgres.rows import Rows

EVENT = (
    "e.position, e.id, e.workspace_id, e.type, e.created_at, e.body, e.sequence, "
    "(SELECT id FROM jobs WHERE n = e.job), (SELECT id FROM batches WHERE n = e.batch)"
)

_EVENTS = Rows(
    {
        "id": "text",
        "workspace_id": "text",
        "type": "text",
        "created_at": "double precision",
        "body": "bytea",
        "job": "bigint",
        "sequence": "integer",
        "batch_id": "text",
    }
)
# One statement, so that the log's end is held for as short as can be: from here to the commit.
_APPEND = f"""
WITH log_end AS (UPDATE log SET position = position + ${_EVENTS.count + 1} RETURNING position),
appended AS (
  INSERT INTO events (position, id, workspace_id, type, created_at, body, job, sequence, batch)
  SELECT position - ${_EVENTS.count + 1} + ord, id, workspace_id, type, created_at, body, job, sequence,
    (SELECT n FROM batches WHERE batches.id = batch_id)
  FROM log_end, {_EVENTS.table})
SELECT position - ${_EVENTS.count + 1} FROM log_end
"""

_LEAVE_ROOM = f"""
UPDATE log SET position = greatest(position, (extract(epoch FROM clock_timestamp()) * {PLACES_PER_SECOND})::bigint)
WHERE position > 0
"""


async def append(connection: Connection, news: Sequence[News]) -> None:
    """Append events in this order, and put each on its way to every endpoint that wants it.

    1. What is open of their jobs is held, before the log's end: whoever settles it may append to the log too.
    2. The events get their positions.
    3. They are put on their way; of one job, an event sees what those before it have put on theirs.
    """
    following = sorted({one.job for one in news if one.follows and one.job is not None})
    tries = await lanes.hold(connection, following, lanes.FIRST) if following else 0
    position = await insert(connection, news)
    rounds: list[list[News]] = []
    turns: Counter[int] = Counter()
    for one in news:
        turn = 0 if one.job is None else turns[one.job]
        if one.job is not None:
            turns[one.job] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(replace(one, position=position))
        position += 1
    for together in rounds:
        await deliveries.enqueue(connection, together, struggling=tries >= SUPERSEDE_AFTER)


async def insert(connection: Connection, news: Sequence[News]) -> int:
    """Append events that go to nobody yet; the position of the first of them."""
    rows = [
        (
            event.id,
            event.workspace_id,
            event.type,
            event.created_at,
            event.body,
            one.job,
            event.sequence,
            event.batch_id,
        )
        for one in news
        for event in (one.event,)
    ]
    try:
        before: int = await connection.fetchval(_APPEND, *_EVENTS.of(rows), len(rows))
    except asyncpg.UniqueViolationError as error:
        raise ConflictError(f"an event with the id {taken(error)} exists already", param="id") from None
    return before + 1


async def events_after(
    connection: Connection, workspace_id: str | None, position: int, limit: int, wanted: EventFilter
) -> tuple[list[Event], int]:
    """Events behind a position; and that of the last one, or the log's end where fewer than `limit` were left."""
    # The end and the events are of one snapshot: what commits later has a position behind this end.
    search = _Search(workspace_id, wanted)
    rows = await connection.fetch(
        f"SELECT log.position AS log_end, found.* FROM log LEFT JOIN LATERAL (SELECT {EVENT} FROM events e "
        f"WHERE e.position > {search.bind(position)} AND {search.condition} ORDER BY e.position "
        f"LIMIT {search.bind(limit)}) found ON true ORDER BY found.position",
        *search.values,
    )
    end = max(rows[0][0], position)
    found = [_event(row[1:]) for row in map(tuple, rows) if row[1] is not None]
    if not found:
        return found, end
    return found, found[-1].position if len(found) == limit else end


async def events_before(
    connection: Connection, workspace_id: str, position: int | None, limit: int, wanted: EventFilter
) -> list[Event]:
    """Events before a position, the newest first."""
    search = _Search(workspace_id, wanted)
    before = "true" if position is None else f"e.position < {search.bind(position)}"
    rows = await connection.fetch(
        f"SELECT {EVENT} FROM events e WHERE {before} AND {search.condition} "
        f"ORDER BY e.position DESC LIMIT {search.bind(limit)}",
        *search.values,
    )
    return [_event(row) for row in rows]


class _Search:
    """Which events are wanted: only what narrows is asked for, so that the right index is used."""

    def __init__(self, workspace_id: str | None, wanted: EventFilter) -> None:
        self.values: list[Any] = []
        conditions = []
        if workspace_id is not None:
            conditions.append(f"e.workspace_id = {self.bind(workspace_id)}")
        if wanted.type is not None:
            conditions.append(f"e.type = {self.bind(wanted.type)}")
        if wanted.entity_id is not None:
            entity = self.bind(wanted.entity_id)
            conditions.append(
                f"(e.job = (SELECT n FROM jobs WHERE id = {entity}) OR e.batch = (SELECT n FROM batches "
                f"WHERE id = {entity}))"
            )
        self.condition = " AND ".join(conditions) or "true"

    def bind(self, value: object) -> str:
        self.values.append(value)
        return f"${len(self.values)}"


async def event_position(connection: Connection, workspace_id: str, event_id: str) -> int:
    """The place of an event in the log."""
    position: int | None = await connection.fetchval(
        "SELECT position FROM events WHERE id = $1 AND workspace_id = $2", event_id, workspace_id
    )
    if position is None:
        raise NotFoundError(f"no event {event_id}")
    return position


async def first_position(connection: Connection) -> int:
    """The oldest position that is kept; where none is, the one that comes next."""
    position: int = await connection.fetchval(
        "SELECT coalesce((SELECT min(position) FROM events), (SELECT position FROM log) + 1)"
    )
    return position


async def last_position(connection: Connection) -> int:
    """The newest position that was ever given out and committed."""
    position: int = await connection.fetchval("SELECT position FROM log")
    return position


async def leave_room(connection: Connection) -> None:
    """Raise the end of a log that has begun to the time, past what a later copy of it gave out (decision 0035)."""
    await connection.execute(_LEAVE_ROOM)


def _event(row: Sequence[Any]) -> Event:
    return Event(
        position=row[0],
        id=row[1],
        workspace_id=row[2],
        type=row[3],
        created_at=row[4],
        body=row[5],
        sequence=row[6],
        job_id=row[7],
        batch_id=row[8],
    )
