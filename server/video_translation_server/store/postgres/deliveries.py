"""Deliveries in PostgreSQL: putting events on their way, and taking up again. The table is the queue.

Every function takes a connection and runs inside the caller's transaction. Leasing is in `claims`, what comes of
attempts in `settlements`, the order among them in `lanes`, their lists in `listing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from video_translation_server.errors import ConflictError
from video_translation_server.model import Delivery, DeliveryState, Event
from video_translation_server.store.postgres import lanes, listing
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.rows import Rows
from video_translation_server.store.postgres.settled import ATTEMPT, away
from video_translation_server.wire.events import BY_NAME_ONLY, CALLBACK_TYPES, PROGRESS

_NEWS = Rows(
    {
        "position": "bigint",
        "job": "bigint",
        "entity": "text",
        "follows": "boolean",
        "workspace": "text",
        "event_type": "text",
        "broad": "boolean",
        "at": "double precision",
        "not_to": "bigint",
    }
)
# Two statements, for listed endpoints and for callbacks, so that each finds its own index.
_ENQUEUE = """
INSERT INTO deliveries (event, endpoint, job, state, due_at)
SELECT position, n, job, CASE WHEN waits THEN 'waiting' ELSE 'due' END, CASE WHEN NOT waits THEN at END
FROM (
  SELECT given.position, p.n, given.job, given.at, given.follows AND p.ordering = 'job' AND EXISTS (
    SELECT 1 FROM deliveries d
    WHERE d.job = given.job AND d.endpoint = p.n AND d.lane = 0 AND d.settled_at IS NULL) AS waits
  FROM {news} JOIN endpoints p ON {whose} AND p.deleted_at IS NULL
    AND CASE WHEN p.events IS NULL THEN given.broad ELSE given.event_type = ANY(p.events) END
  ORDER BY given.position, p.n) matched
"""
_ENQUEUE_LISTED = _ENQUEUE.format(
    news=_NEWS.table,
    whose="p.workspace_id = given.workspace AND NOT p.is_callback "
    "AND (p.entity_id IS NULL OR p.entity_id = given.entity) AND p.n IS DISTINCT FROM given.not_to",
)
_ENQUEUE_CALLBACK = _ENQUEUE.format(news=_NEWS.table, whose="p.entity_id = given.entity AND p.is_callback")

_TAKEN_UP = Rows({"id": "bigint", "event": "bigint", "job": "bigint"})
# Of what is taken up together, the first of each job is due where no other of its lane is open.
_PLACED = f"""
SELECT given.id, given.event, given.job, p.ordering = 'job' AND given.job IS NOT NULL AND (
    row_number() OVER (PARTITION BY given.job ORDER BY given.event) > 1
    OR EXISTS (SELECT 1 FROM deliveries o
               WHERE o.job = given.job AND o.endpoint = p.n AND o.lane = {lanes.AGAIN} AND o.settled_at IS NULL)
  ) AS waits
FROM {_TAKEN_UP.table}, endpoints p WHERE p.n = $4
"""
_TAKE_UP = f"""
WITH placed AS ({_PLACED}),
revived AS (
  DELETE FROM settled s USING placed WHERE s.id = placed.id AND s.id = ANY($1) RETURNING s.*, waits),
said AS (
  INSERT INTO attempts (delivery, {ATTEMPT}, body)
  SELECT id, {ATTEMPT}, coalesce(answers[ord], '')
  FROM revived, unnest(log) WITH ORDINALITY AS said({ATTEMPT}, ord)),
back AS (
  INSERT INTO deliveries (id, event, endpoint, job, lane, state, attempts, due_at, first_attempt_at)
  OVERRIDING SYSTEM VALUE
  SELECT id, event, endpoint, job, {lanes.AGAIN}, CASE WHEN waits THEN 'waiting' ELSE 'due' END, attempts,
    CASE WHEN NOT waits THEN $5::double precision END, first_attempt_at
  FROM revived)
INSERT INTO deliveries (event, endpoint, job, lane, state, due_at)
SELECT event, $4, job, {lanes.AGAIN}, CASE WHEN waits THEN 'waiting' ELSE 'due' END,
  CASE WHEN NOT waits THEN $5::double precision END
FROM placed WHERE id IS NULL ORDER BY event
"""

_ABANDON = away(
    given="unnest($1::bigint[]) AS given(endpoint)",
    which="(d.endpoint = given.endpoint AND d.settled_at IS NULL AND d.claim_id IS NULL) "
    "OR (d.endpoint = given.endpoint AND d.claim_id IS NOT NULL)",
    state=DeliveryState.DEAD,
    at="$2::double precision",
)


@dataclass(frozen=True, slots=True)
class News:
    """An event that is to be appended to the log and put on its way.

    Attributes:
        job: The row number of the job that it is about, where it is about one.
        not_to: The row number of the endpoint that it never goes to, where there is one.
        calls_back: True where the job's callback may want it although it tells of no end.
        position: Its place in the log, once it has one.
    """

    event: Event
    job: int | None = None
    not_to: int | None = None
    calls_back: bool = False
    position: int = 0

    @property
    def follows(self) -> bool:
        """False for a job's first event, which needs no look at what is open."""
        return self.job is not None and (self.event.sequence > 1 or self.event.type == PROGRESS)


async def enqueue(connection: Connection, news: Sequence[News], *, struggling: bool) -> None:
    """One delivery per event and matching endpoint; it waits where an earlier one of the job is still open.

    At most one event of each job, whose lanes are held; with `struggling`, what failed too often there gives way.
    """
    progress = [(one.job, one.event.created_at) for one in news if one.event.type == PROGRESS and one.job is not None]
    await lanes.coalesce(connection, progress)
    rows = [_row(one) for one in news]
    await connection.execute(_ENQUEUE_LISTED, *_NEWS.of(rows))
    called = [row for one, row in zip(news, rows, strict=True) if one.calls_back or one.event.type in CALLBACK_TYPES]
    if called:
        await connection.execute(_ENQUEUE_CALLBACK, *_NEWS.of(called))
    if struggling:
        following = [(one.job, one.event.created_at) for one in news if one.follows and one.job is not None]
        await lanes.supersede(connection, following)


def _row(news: News) -> tuple[Any, ...]:
    event = news.event
    return (
        news.position,
        news.job,
        event.entity_id,
        news.follows,
        event.workspace_id,
        event.type,
        event.type not in BY_NAME_ONLY,
        event.created_at,
        news.not_to,
    )


async def make_due(connection: Connection, *, endpoint: int, now: float) -> None:
    """Make all retries that wait for their time due."""
    await connection.execute(
        "UPDATE deliveries SET due_at = $2 WHERE endpoint = $1 AND settled_at IS NULL AND claim_id IS NULL "
        "AND due_at > $2",
        endpoint,
        now,
    )


async def take_up(
    connection: Connection, *, endpoint: int, missed: Sequence[tuple[int | None, int, int | None]], now: float
) -> None:
    """Put settled deliveries on their way again: (its id or None for one that never was, event, job) of each.

    They go in the lane of those taken up again.
    """
    jobs = sorted({job for _, _, job in missed if job is not None})
    # Nobody else may take up what is of the same jobs meanwhile: a lane that is empty cannot be held otherwise.
    await connection.execute("SELECT n FROM jobs WHERE n = ANY($1::bigint[]) ORDER BY n FOR NO KEY UPDATE", jobs)
    await lanes.hold(connection, jobs, lanes.AGAIN)
    await connection.execute(_TAKE_UP, *_TAKEN_UP.of(missed), endpoint, now)


async def resend(connection: Connection, workspace_id: str, delivery_id: int, now: float) -> Delivery:
    """Make one delivery due now, with a new run of the schedule."""
    # Where it is settled, whoever takes it up first has it; where it is open, it is held.
    await connection.execute("SELECT 1 FROM deliveries WHERE id = $1 FOR NO KEY UPDATE", delivery_id)
    found = await listing.get(connection, workspace_id, delivery_id)
    event, endpoint, job, deleted_at = await connection.fetchrow(
        "SELECT event, endpoint, job, (SELECT deleted_at FROM endpoints WHERE n = endpoint) "
        "FROM every_delivery WHERE id = $1",
        delivery_id,
    )
    if deleted_at is not None:
        raise ConflictError(f"endpoint {found.endpoint_id} of this delivery was deleted: there is nowhere to send it")
    if found.state is DeliveryState.WAITING:
        raise ConflictError("this delivery waits for an earlier event of its job, which is on its way")
    if not found.state.is_open:
        await take_up(connection, endpoint=endpoint, missed=[(delivery_id, event, job)], now=now)
    else:
        await connection.execute(
            "UPDATE deliveries SET due_at = $1, tries = 0 WHERE id = $2 AND claim_id IS NULL", now, delivery_id
        )
    return await listing.get(connection, workspace_id, delivery_id)


async def send_to(connection: Connection, *, event: int, endpoint: int, now: float) -> int:
    """One event to one endpoint, in no order; the delivery's id."""
    delivery: int = await connection.fetchval(
        "INSERT INTO deliveries (event, endpoint, state, due_at) VALUES ($1, $2, 'due', $3) RETURNING id",
        event,
        endpoint,
        now,
    )
    return delivery


async def abandon(connection: Connection, *, endpoints: Sequence[int], now: float) -> None:
    """Close everything open to deleted endpoints, also what is claimed."""
    await connection.execute(_ABANDON, endpoints, now)
