"""The event log in SQLite: appending, and reading it in both directions. Its order is commit order.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Any

import apsw

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Change, Event
from video_translation_server.store.base import EventFilter
from video_translation_server.store.base.rules import PLACES_PER_SECOND
from video_translation_server.store.sqlite import deliveries, spans
from video_translation_server.store.sqlite.deliveries import Placed
from video_translation_server.store.sqlite.handover import Handover
from video_translation_server.store.sqlite.rows import ClashError, Rows

EVENT = (
    "position, events.id, events.workspace_id, type, events.created_at, body, events.sequence, "
    "(SELECT id FROM jobs WHERE n = job), (SELECT id FROM batches WHERE n = batch)"
)


_INSERT = Rows(
    "INSERT OR FAIL INTO events (id, workspace_id, type, created_at, body, job, sequence, batch) VALUES {rows}",
    columns=8,
    last="(SELECT n FROM batches WHERE id = ?)",
)


def append_all(
    connection: apsw.Connection, changes: Sequence[Change], jobs: Sequence[int], handover: Handover | None = None
) -> None:
    """Append the events of changes, each of the job of that row number, and put them on their way to who wants them.

    Raises:
        ConflictError: One exists.
    """
    positions = insert(connection, [change.event for change in changes], jobs)
    placed = [
        Placed(change.event, position, job, calls_back=change.job.calls_back_before_its_end)
        for change, position, job in zip(changes, positions, jobs, strict=True)
    ]
    deliveries.enqueue(connection, placed, handover)


def append(connection: apsw.Connection, event: Event, *, not_to: int | None = None) -> None:
    """Append an event that is about no job, and put it on its way, but never to the endpoint `not_to`."""
    [position] = insert(connection, [event], [None])
    deliveries.enqueue(connection, [Placed(event, position, None, not_to)])


def insert(connection: apsw.Connection, events: Sequence[Event], jobs: Sequence[int | None]) -> range:
    """Append events, each about the job of that row number, that go to nobody yet; their positions.

    Raises:
        ConflictError: One exists.
    """
    rows = [
        (event.id, event.workspace_id, event.type, event.created_at, event.body, job, event.sequence, event.batch_id)
        for event, job in zip(events, jobs, strict=True)
    ]
    try:
        return _INSERT.insert(connection, rows)
    except ClashError as clash:
        raise ConflictError(f"an event with the id {clash.key} exists already", param="id") from None


def events_after(
    connection: apsw.Connection, workspace_id: str | None, position: int, limit: int, wanted: EventFilter
) -> tuple[list[Event], int]:
    """Events behind a position; and that of the last one, or the log's end where fewer than `limit` were left."""
    # The end is read first: what commits in between is then read again rather than passed over.
    end = max(last_position(connection), position)
    statement = f"{select(workspace_id, wanted)} AND position > :position ORDER BY position LIMIT :limit"
    values = _values(workspace_id, position, limit, wanted)
    rows: list[Any] = (
        spans.oldest_first(connection, statement, values, of="events.position", after=position, most=limit)
        if ":span" in statement
        else connection.execute(statement, values).fetchall()
    )
    found = [_event(row) for row in rows]
    if not found:
        return found, end
    return found, found[-1].position if len(found) == limit else max(end, found[-1].position)


def events_before(
    connection: apsw.Connection, workspace_id: str, position: int | None, limit: int, wanted: EventFilter
) -> list[Event]:
    """Events before a position, the newest first."""
    statement = f"{select(workspace_id, wanted)} AND position < :position ORDER BY position DESC LIMIT :limit"
    before = _END if position is None else position
    values = _values(workspace_id, before, limit, wanted)
    rows: list[Any] = (
        spans.newest_first(connection, statement, values, of="events.position", before=before, most=limit)
        if ":span" in statement
        else connection.execute(statement, values).fetchall()
    )
    return [_event(row) for row in rows]


_END = 2**63 - 1
"""Behind every event."""

COMMON_TYPES = frozenset({"video_translate.pending", "video_translate.running", "video_translate.success"})
"""Types that nearly every job has an event of: they are found among all events, and have no index to be written to."""

# In the words of the index of the others.
_RARE = f"type NOT IN ({', '.join(repr(name) for name in sorted(COMMON_TYPES))})"

# Looked up, not looked for: a job has a handful of events, however long its workspace's log is.
_OF_ENTITY = (
    "position IN (SELECT position FROM events WHERE job = (SELECT n FROM jobs WHERE id = :entity) "
    "UNION ALL SELECT position FROM events WHERE batch = (SELECT n FROM batches WHERE id = :entity))"
)


def select(workspace_id: str | None, wanted: EventFilter) -> str:
    """The query for the events that are wanted; what does not narrow is left out, so that an index can be used.

    Where the workspace narrows most, the query is for the events of one `:span`.
    """
    # The + keeps SQLite from reading the whole workspace instead of what was looked up.
    plus = "" if wanted.entity_id is None else "+"
    conditions = ["TRUE"]
    if workspace_id is not None:
        conditions.append(f"{plus}workspace_id = :workspace")
    if wanted.type is not None:
        conditions.append(f"{plus}type = :type")
    if wanted.entity_id is not None:
        conditions.append(_OF_ENTITY)
    elif wanted.type is not None and wanted.type not in COMMON_TYPES:
        conditions.append(_RARE)
    elif workspace_id is not None:
        conditions.append(IN_SPAN)
    return f"SELECT {EVENT} FROM events WHERE {' AND '.join(conditions)}"


IN_SPAN = f"position >> {spans.BITS} = :span"
"""Of the events of a workspace, those of one span."""


def _values(workspace_id: str | None, position: int, limit: int, wanted: EventFilter) -> dict[str, Any]:
    return {
        "workspace": workspace_id,
        "position": position,
        "type": wanted.type,
        "entity": wanted.entity_id,
        "limit": limit,
    }


def event_position(connection: apsw.Connection, workspace_id: str, event_id: str) -> int:
    """The place of an event in the log."""
    position = connection.execute(
        "SELECT position FROM events WHERE id = ? AND workspace_id = ?", (event_id, workspace_id)
    ).get
    if position is None:
        raise NotFoundError(f"no event {event_id}")
    return int(position)


def first_position(connection: apsw.Connection) -> int:
    """The oldest position that is kept; where none is, the one that comes next."""
    kept = connection.execute("SELECT min(position) FROM events").get
    return int(kept) if kept is not None else last_position(connection) + 1


def last_position(connection: apsw.Connection) -> int:
    """The newest position that was ever given out."""
    return connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").get or 0


def leave_room(connection: apsw.Connection, real_now: float) -> None:
    """Raise the end of a log that has begun to the time, past what a later copy of it gave out (decision 0035)."""
    end = int(real_now * PLACES_PER_SECOND)
    connection.execute("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'events'", (end,))


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
