"""Retention in PostgreSQL: deleting what is kept no longer, a few rows at a time, so that delivery never waits long.

Every function takes a connection and runs inside the caller's transaction.
"""

from video_translation_server.store.base import Retention
from video_translation_server.store.postgres import lanes
from video_translation_server.store.postgres.database import Connection

# What is held for a disabled endpoint has no end of its own: it ages with its event.
_LOOK = """
SELECT id, created_at, since < CASE WHEN state = 'delivered' THEN $3::double precision ELSE $4 END
FROM (SELECT d.id, d.state, e.created_at, coalesce(d.settled_at,
        CASE WHEN d.claim_id IS NULL AND p.status = 'disabled' THEN e.created_at END) AS since
      FROM deliveries d JOIN events e ON e.position = d.event JOIN endpoints p ON p.n = d.endpoint
      WHERE d.id > $1 ORDER BY d.id LIMIT $2) looked ORDER BY id
"""

_FORGET = """
UPDATE endpoints p SET forgotten = greatest(p.forgotten, f.event)
FROM (SELECT endpoint, max(event) AS event FROM deliveries WHERE id = ANY($1::bigint[]) GROUP BY endpoint) f
WHERE p.n = f.endpoint
"""

_DELETE = """
DELETE FROM deliveries WHERE id = ANY($1::bigint[]) AND claim_id IS NULL RETURNING endpoint, job, lane, settled_at
"""

# The oldest events as long as they are too old and nothing refers to them.
_PRUNE_EVENTS = """
WITH oldest AS (
  SELECT position, bool_and(created_at < $1 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = position))
    OVER (ORDER BY position) AS expired
  FROM (SELECT position, created_at FROM events ORDER BY position LIMIT $2) looked)
DELETE FROM events WHERE position IN (SELECT position FROM oldest WHERE expired)
"""


async def prune(connection: Connection, now: float, retention: Retention, after: int, chunk: int) -> int | None:
    """Look at `chunk` deliveries behind id `after`; the id to go on behind, or None when none later can be too old.

    Deliveries come in about the order of their events: a round ends at the first event that nothing about it is too old
    for, so that it does not walk through all that is kept.
    """
    rows = await connection.fetch(_LOOK, after, chunk, now - retention.delivered, now - retention.dead)
    await _delete(connection, [delivery for delivery, _, is_expired in rows if is_expired], now)
    if rows:
        await connection.execute(
            "UPDATE attempts SET body = '' WHERE delivery BETWEEN $1 AND $2 AND started_at < $3 AND body <> ''",
            rows[0][0],
            rows[-1][0],
            now - retention.bodies,
        )
    oldest = now - min(retention.delivered, retention.dead, retention.bodies)
    if len(rows) == chunk and rows[-1][1] < oldest:
        return int(rows[-1][0])
    done: str = await connection.execute(_PRUNE_EVENTS, now - retention.dead, chunk)
    return after if int(done.rsplit(maxsplit=1)[-1]) == chunk else None


async def _delete(connection: Connection, expired: list[int], now: float) -> None:
    if not expired:
        return
    await connection.execute(_FORGET, expired)
    await connection.execute("DELETE FROM attempts WHERE delivery = ANY($1::bigint[])", expired)
    rows = await connection.fetch(_DELETE, expired)
    # What waited behind one that was held must not wait for ever.
    left = [lanes.Left(endpoint, job, lane, now) for endpoint, job, lane, settled_at in rows if settled_at is None]
    await lanes.release_next(connection, left)
