"""Retention in PostgreSQL: what is kept no longer goes a few rows at a time, so that delivery never waits long.

What is settled is only said to be kept no longer: `days` drops it, a day at a time. Every function takes a connection
and runs inside the caller's transaction.
"""

from video_translation_server.store.base import Retention
from video_translation_server.store.postgres import lanes
from video_translation_server.store.postgres.database import Connection

# What is open ages only while it is held for a disabled endpoint: with its event.
_LOOK = """
SELECT d.id, e.created_at, d.claim_id IS NULL AND p.status = 'disabled' AND e.created_at < $3::double precision
FROM deliveries d JOIN events e ON e.position = d.event JOIN endpoints p ON p.n = d.endpoint
WHERE d.id > $1 ORDER BY d.id LIMIT $2
"""

_FORGET = """
UPDATE endpoints p SET forgotten = greatest(p.forgotten, f.event)
FROM (SELECT endpoint, max(event) AS event FROM deliveries WHERE id = ANY($1::bigint[]) GROUP BY endpoint) f
WHERE p.n = f.endpoint
"""

_DELETE = "DELETE FROM deliveries WHERE id = ANY($1::bigint[]) AND claim_id IS NULL RETURNING endpoint, job, lane"

# From now on nobody sees what was settled before; its place is given back with its whole day.
_KEEP_SINCE = """
UPDATE kept SET delivered_since = greatest(delivered_since, $1), failed_since = greatest(failed_since, $2)
WHERE delivered_since < $1 OR failed_since < $2
"""

# What is seen no longer goes with its day, and is not written once more for its answers.
_PRUNE_ANSWERS = """
UPDATE settled SET answers = NULL
WHERE id = ANY(ARRAY(
  SELECT id FROM every_delivery WHERE answers IS NOT NULL AND settled_at < $1 AND is_kept LIMIT $2))
"""

# The oldest events as long as they are too old and nothing refers to them.
_PRUNE_EVENTS = """
WITH oldest AS (
  SELECT position, bool_and(created_at < $1
      AND NOT EXISTS (SELECT 1 FROM every_delivery d WHERE d.event = position AND d.is_kept))
    OVER (ORDER BY position) AS expired
  FROM (SELECT position, created_at FROM events ORDER BY position LIMIT $2) looked)
DELETE FROM events WHERE position IN (SELECT position FROM oldest WHERE expired)
"""


async def prune(connection: Connection, now: float, retention: Retention, after: int, chunk: int) -> int | None:
    """Look at `chunk` open deliveries behind id `after`; the id to go on behind, or None when nothing is left to do.

    1. What is held too long is deleted, a few at a time, and the answers that open deliveries got.
    2. Then what was settled too long ago is seen no longer, at once; `days` drops it.
    3. Answers of what is kept longer than they are, and events, go a few at a time again.

    Deliveries come in about the order of their events: a round ends at the first event that nothing about it is too old
    for, so that it does not walk through all that is open.
    """
    rows = await connection.fetch(_LOOK, after, chunk, now - retention.dead)
    await _delete(connection, [delivery for delivery, _, is_expired in rows if is_expired], now)
    if rows:
        await connection.execute(
            "UPDATE attempts SET body = '' WHERE delivery BETWEEN $1 AND $2 AND started_at < $3 AND body <> ''",
            rows[0][0],
            rows[-1][0],
            now - retention.bodies,
        )
    if len(rows) == chunk and rows[-1][1] < now - min(retention.dead, retention.bodies):
        return int(rows[-1][0])
    await connection.execute(_KEEP_SINCE, now - retention.delivered, now - retention.dead)
    answers: str = await connection.execute(_PRUNE_ANSWERS, now - retention.bodies, chunk)
    events: str = await connection.execute(_PRUNE_EVENTS, now - retention.dead, chunk)
    return after if chunk in (_count(answers), _count(events)) else None


def _count(done: str) -> int:
    """How many rows a statement says that it has changed."""
    return int(done.rsplit(maxsplit=1)[-1])


async def _delete(connection: Connection, expired: list[int], now: float) -> None:
    if not expired:
        return
    await connection.execute(_FORGET, expired)
    await connection.execute("DELETE FROM attempts WHERE delivery = ANY($1::bigint[])", expired)
    rows = await connection.fetch(_DELETE, expired)
    # What waited behind one that was held must not wait for ever.
    left = [lanes.Left(endpoint, job, lane, now) for endpoint, job, lane in rows]
    await lanes.release_next(connection, left)
