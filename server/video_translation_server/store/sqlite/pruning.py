"""Retention in SQLite: deleting what is kept no longer, a few rows at a time, so that delivery never waits long.

Every function takes a connection and runs inside the caller's transaction.
"""

from typing import Any

import apsw
import msgspec

from video_translation_server.model import DeliveryState
from video_translation_server.store.base import Retention
from video_translation_server.store.sqlite import deliveries


def prune(connection: apsw.Connection, now: float, retention: Retention, after: int, chunk: int) -> int | None:
    """Look at `chunk` deliveries behind id `after`; the id to go on behind, or None when none later can be too old.

    A delivery is not put on its way before its event, nor before the deliveries with lower ids, and it is settled and
    attempted later still. So the round ends at the first event that nothing about it is too old for: a round does not
    walk through all that is kept. (What an endpoint that is disabled got of old events later than that waits a while.)
    """
    rows: list[Any] = connection.execute(
        # What is held for a disabled endpoint has no end of its own: it ages with its event.
        "SELECT d.id, d.state, coalesce(d.settled_at, iif(d.claim_id IS NULL AND p.status = 'disabled', e.created_at, "
        "NULL)), e.created_at FROM deliveries d JOIN events e ON e.position = d.event "
        "JOIN endpoints p ON p.n = d.endpoint "
        "WHERE d.id > ? ORDER BY d.id LIMIT ?",
        (after, chunk),
    ).fetchall()
    expired = [delivery for delivery, state, since, _ in rows if _is_expired(state, since, now, retention)]
    _delete(connection, expired, now)
    if rows:
        _drop_bodies(connection, rows[0][0], rows[-1][0], now - retention.bodies)
    oldest = now - min(retention.delivered, retention.dead, retention.bodies)
    if len(rows) == chunk and rows[-1][3] < oldest:
        return int(rows[-1][0])
    return after if _prune_events(connection, now - retention.dead, chunk) == chunk else None


def _is_expired(state: str, since: float | None, now: float, retention: Retention) -> bool:
    kept = retention.delivered if state == DeliveryState.DELIVERED else retention.dead
    return since is not None and since < now - kept


def _delete(connection: apsw.Connection, expired: list[int], now: float) -> None:
    if not expired:
        return
    ids = msgspec.json.encode(expired).decode()
    connection.execute(
        "UPDATE endpoints SET forgotten = max(forgotten, f.event) FROM (SELECT endpoint, max(event) AS event "
        "FROM deliveries WHERE id IN (SELECT value FROM json_each(?)) GROUP BY endpoint) f WHERE n = f.endpoint",
        (ids,),
    )
    connection.execute("DELETE FROM attempts WHERE delivery IN (SELECT value FROM json_each(?))", (ids,))
    deleted: list[Any] = connection.execute(
        "DELETE FROM deliveries WHERE id IN (SELECT value FROM json_each(?)) RETURNING settled_at, endpoint, job, lane",
        (ids,),
    ).fetchall()
    # What waited behind one that was held must not wait for ever.
    deliveries.release_next(connection, [lane for settled_at, *lane in deleted if settled_at is None], now=now)


def _drop_bodies(connection: apsw.Connection, first: int, last: int, before: float) -> None:
    connection.execute(
        "UPDATE attempts SET body = x'' WHERE delivery BETWEEN ? AND ? AND started_at < ? AND body != x''",
        (first, last, before),
    )


def _prune_events(connection: apsw.Connection, before: float, chunk: int) -> int:
    """Delete the oldest events as long as they are too old and nothing refers to them; how many."""
    rows: list[Any] = connection.execute(
        "SELECT position, created_at < ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = position) "
        "FROM events ORDER BY position LIMIT ?",
        (before, chunk),
    ).fetchall()
    count = 0
    for position, is_expired in rows:
        if not is_expired:
            break
        count += 1
        last = position
    if count:
        connection.execute("DELETE FROM events WHERE position <= ?", (last,))
    return count
