"""Deliveries in SQLite: putting events on their way, lanes, and taking up again. The table is the queue.

Every function takes a connection and runs inside the caller's transaction. Leasing is in `claims`, what comes of
attempts in `settlements`, how deliveries are read in `listing`.
"""

from collections.abc import Iterable, Sequence
from itertools import compress
from typing import Any, NamedTuple

import apsw

from video_translation_server.errors import ConflictError
from video_translation_server.model import Delivery, DeliveryState, Event
from video_translation_server.store.sqlite import listing
from video_translation_server.store.sqlite.handover import Handover
from video_translation_server.store.sqlite.rows import Rows
from video_translation_server.wire.events import BY_NAME_ONLY, CALLBACK_TYPES, FINAL_TYPES, PROGRESS

Lane = tuple[int, int | None, int]
"""(endpoint, job, lane): within one, deliveries go one after the other, where there is a job."""

FIRST, AGAIN = 0, 1
"""The lanes: of first deliveries, and of those taken up again."""

_FINAL = ", ".join(f"'{name}'" for name in sorted(FINAL_TYPES))

# Two statements, for listed endpoints and for callbacks: their UNION costs ten times as much as both.
_ENQUEUE = """
WITH e (position, job, follows, workspace, type, broad, not_to, now, entity_id) AS (VALUES {{rows}})
INSERT OR FAIL INTO deliveries (event, endpoint, job, state, due_at)
SELECT position, n, job, iif(waits, 'waiting', 'due'), iif(waits, NULL, now) FROM (
  SELECT position, n, job, now, follows AND ordering = 'job' AND EXISTS (
      SELECT 1 FROM deliveries d
      WHERE d.endpoint = n AND d.job = e.job AND d.lane = 0 AND d.settled_at IS NULL) AS waits
  FROM e CROSS JOIN endpoints p
  WHERE {whose} AND deleted_at IS NULL
    AND iif(events IS NULL, broad, EXISTS (SELECT 1 FROM json_each(events) WHERE value = e.type)) LIMIT -1)
"""
_LISTED = (
    "workspace_id = workspace AND is_callback = 0 AND (p.entity_id IS NULL OR p.entity_id = e.entity_id) "
    "AND n IS NOT not_to"
)
_ENQUEUE_LISTED = Rows(_ENQUEUE.format(whose=_LISTED), columns=9)

# As before, but what nothing stands in front of is leased where there is a place: what waits for its endpoint's turn
# goes first. Of an endpoint with a rate limit nothing is handed over: its next time would have to be kept.
_ENQUEUE_LEASED = Rows(
    f"""
WITH e (position, job, follows, workspace, type, broad, not_to, now, entity_id, until) AS (VALUES {{rows}}),
placed AS MATERIALIZED (
  SELECT position, n, job, waits, now, until, iif(waits OR status <> 'enabled' OR rate_limit IS NOT NULL
      OR coalesce(paused_until, 0) > now OR EXISTS (SELECT 1 FROM turns t WHERE t.endpoint = n AND t.at <= now), NULL,
      handed_over(n, max_in_flight, strain,
        (SELECT count(*) FROM deliveries c WHERE c.endpoint = n AND c.claim_id IS NOT NULL),
        id, url, secret, retired, private_key, headers)) AS claim_id
  FROM (
    SELECT *, follows AND ordering = 'job' AND EXISTS (
      SELECT 1 FROM deliveries d
      WHERE d.endpoint = n AND d.job = e.job AND d.lane = 0 AND d.settled_at IS NULL) AS waits
    FROM e CROSS JOIN endpoints p
    WHERE {_LISTED} AND deleted_at IS NULL
      AND iif(events IS NULL, broad, EXISTS (SELECT 1 FROM json_each(events) WHERE value = e.type))))
INSERT OR FAIL INTO deliveries (event, endpoint, job, state, due_at, claim_id, leased_until)
SELECT position, n, job, iif(waits, 'waiting', 'due'), iif(waits, NULL, now),
  claim_id, iif(claim_id IS NULL, NULL, until) FROM placed
""",
    columns=10,
)
_ENQUEUE_CALLBACK = Rows(_ENQUEUE.format(whose="p.entity_id = e.entity_id AND is_callback = 1"), columns=9)

# A progress event that is not being sent is worth nothing once a newer one exists; what was taken up again is wanted.
_COALESCE = f"""
UPDATE deliveries SET state = 'superseded', due_at = NULL, settled_at = :now WHERE id IN (
  SELECT d.id FROM events e JOIN deliveries d ON d.event = e.position
  WHERE e.job = :job AND e.type = '{PROGRESS}' AND d.settled_at IS NULL AND d.claim_id IS NULL AND d.lane = 0)
RETURNING endpoint, job, lane
"""

# By the index alone, which is nearly always empty.
_ANY_STRUGGLING = """
SELECT EXISTS (SELECT 1 FROM deliveries INDEXED BY deliveries_struggling WHERE settled_at IS NULL AND tries >= 3)
"""

_SUPERSEDE = f"""
UPDATE deliveries SET state = 'superseded', due_at = NULL, settled_at = :now WHERE id IN (
  SELECT d.id FROM deliveries d JOIN events e ON e.position = d.event
  WHERE d.job = :job AND d.settled_at IS NULL AND d.tries >= 3 AND d.claim_id IS NULL AND d.lane = 0
    AND e.type NOT IN ({_FINAL})
    AND EXISTS (SELECT 1 FROM deliveries w WHERE w.endpoint = d.endpoint AND w.job = d.job AND w.lane = 0
                AND w.settled_at IS NULL AND w.state = 'waiting' AND w.event > d.event))
RETURNING endpoint, job, lane
"""

_RELEASE_NEXT = Rows(
    """
WITH l (endpoint, job, lane, now) AS (VALUES {rows})
UPDATE OR FAIL deliveries SET state = 'due', due_at = next.now
FROM (SELECT now, (SELECT d.id FROM deliveries d
                   WHERE d.endpoint = l.endpoint AND d.job = l.job AND d.lane = l.lane AND d.settled_at IS NULL
                   ORDER BY d.event LIMIT 1) AS id FROM l) next
WHERE deliveries.id = next.id AND deliveries.state = 'waiting'
""",
    columns=4,
)


class Placed(NamedTuple):
    """An event of the log with its position, and its job's row number; it goes to no endpoint `not_to`.

    With `calls_back` its job's callback may want it although it tells of no end.
    """

    event: Event
    position: int
    job: int | None
    not_to: int | None = None
    calls_back: bool = False

    @property
    def follows(self) -> bool:
        """Whether earlier events of its job may still be on their way; before a job's first there are none."""
        return self.job is not None and (self.event.sequence > 1 or self.event.type == PROGRESS)


def enqueue(connection: apsw.Connection, placed: Sequence[Placed], handover: Handover | None = None) -> None:
    """One delivery per event and matching endpoint; it waits where an earlier one of the job is still open.

    At most one of the events is about the same job.
    """
    for one in placed:
        if one.event.type == PROGRESS:
            coalesced = connection.execute(_COALESCE, {"job": one.job, "now": one.event.created_at})
            release_next(connection, coalesced.fetchall(), now=one.event.created_at)
    wanted = [_wanted_by(one) for one in placed]
    if handover is None or (order := handover.order) is None:
        _ENQUEUE_LISTED.execute(connection, wanted)
    else:
        until = order.wish.leased_until
        order.inserted += _ENQUEUE_LEASED.insert_selected(connection, [(*row, until) for row in wanted])
        handover.gather(order, {one.position: one.event for one in placed})
    calls_back = (one.calls_back or one.event.type in CALLBACK_TYPES for one in placed)
    _ENQUEUE_CALLBACK.execute(connection, list(compress(wanted, calls_back)))
    supersede(connection, [(one.job, one.event.created_at) for one in placed if one.job is not None and one.follows])


def _wanted_by(placed: Placed) -> tuple[Any, ...]:
    """What decides who gets an event, and when."""
    event = placed.event
    broad = event.type not in BY_NAME_ONLY
    return (
        placed.position,
        placed.job,
        placed.follows,
        event.workspace_id,
        event.type,
        broad,
        placed.not_to,
        event.created_at,
        event.entity_id,
    )


def supersede(connection: apsw.Connection, jobs: Sequence[tuple[int, float]]) -> None:
    """Set aside what has failed 3 times while a later snapshot of the job waits behind it; of jobs, each with now."""
    # Nearly always there is none, and looking for each job costs a fortieth of the whole.
    if not jobs or not connection.execute(_ANY_STRUGGLING).get:
        return
    for job, now in jobs:
        superseded = connection.execute(_SUPERSEDE, {"job": job, "now": now})
        release_next(connection, superseded.fetchall(), now=now)


def release_next(connection: apsw.Connection, lanes: Iterable[Sequence[Any]], *, now: float) -> None:
    """Make the oldest that waits in each lane due; lanes without a job have no order."""
    _RELEASE_NEXT.execute(connection, [(*lane, now) for lane in lanes if lane[1] is not None])


def make_due(connection: apsw.Connection, *, endpoint: int, now: float) -> None:
    """Make all retries that wait for their time due."""
    connection.execute(
        "UPDATE deliveries SET due_at = :now WHERE endpoint = :endpoint AND due_at > :now AND claim_id IS NULL",
        {"endpoint": endpoint, "now": now},
    )


def take_up(
    connection: apsw.Connection, *, delivery: int | None, event: int, endpoint: int, job: int | None, now: float
) -> int:
    """Put a settled delivery (or one that never was: None) on its way, in the lane of those taken up again."""
    waits = (
        job is not None
        and connection.execute(
            "SELECT EXISTS (SELECT 1 FROM deliveries WHERE endpoint = :endpoint AND job = :job AND lane = :lane "
            "AND settled_at IS NULL) AND ordering = 'job' FROM endpoints WHERE n = :endpoint",
            {"endpoint": endpoint, "job": job, "lane": AGAIN},
        ).get
    )
    state, due_at = ("waiting", None) if waits else ("due", now)
    if delivery is None:
        return connection.execute(  # type: ignore[no-any-return]
            "INSERT INTO deliveries (event, endpoint, job, lane, state, due_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
            (event, endpoint, job, AGAIN, state, due_at),
        ).get
    connection.execute(
        "UPDATE deliveries SET lane = ?, state = ?, due_at = ?, tries = 0, hurries = 0, settled_at = NULL WHERE id = ?",
        (AGAIN, state, due_at, delivery),
    )
    return delivery


def resend(connection: apsw.Connection, workspace_id: str, delivery_id: int, now: float) -> Delivery:
    """Make one delivery due now, with a new run of the schedule."""
    found = listing.get(connection, workspace_id, delivery_id)
    row = connection.execute(
        "SELECT event, endpoint, job, claim_id, (SELECT deleted_at FROM endpoints WHERE n = endpoint) "
        "FROM deliveries WHERE id = ?",
        (delivery_id,),
    ).fetchone()
    assert row is not None  # noqa: S101  (it was found above, in this transaction)
    event, endpoint, job, claim_id, deleted_at = row
    if deleted_at is not None:
        raise ConflictError(f"endpoint {found.endpoint_id} of this delivery was deleted: there is nowhere to send it")
    if found.state is DeliveryState.WAITING:
        raise ConflictError("this delivery waits for an earlier event of its job, which is on its way")
    if not found.state.is_open:
        take_up(connection, delivery=delivery_id, event=event, endpoint=endpoint, job=job, now=now)
    elif claim_id is None:
        connection.execute("UPDATE deliveries SET due_at = ?, tries = 0 WHERE id = ?", (now, delivery_id))
    return listing.get(connection, workspace_id, delivery_id)


def send_to(connection: apsw.Connection, *, event: int, endpoint: int, now: float) -> int:
    """One event to one endpoint, in no order."""
    return connection.execute(  # type: ignore[no-any-return]
        "INSERT INTO deliveries (event, endpoint, state, due_at) VALUES (?, ?, 'due', ?) RETURNING id",
        (event, endpoint, now),
    ).get


def abandon(connection: apsw.Connection, *, endpoint: int, now: float) -> None:
    """Close everything open to a deleted endpoint, also what is claimed."""
    connection.execute(
        "UPDATE deliveries SET state = 'dead', due_at = NULL, claim_id = NULL, leased_until = NULL, settled_at = ? "
        "WHERE endpoint = ? AND settled_at IS NULL",
        (now, endpoint),
    )
