"""The line of turns in PostgreSQL: which endpoints have come to their turn, and when the next one does.

Every function takes a connection and runs inside the caller's transaction. What a claim leases in that order, and where
it puts an endpoint then, is in `claims`; what else gives a turn is in the schema's triggers (decision 0037).
"""

from collections.abc import Collection

from video_translation_server.store.base.rules import BURST
from video_translation_server.store.postgres.database import Connection

IS_FIRST = "NOT EXISTS (SELECT 1 FROM turns f WHERE f.endpoint = t.endpoint AND (f.at, f.n) < (t.at, t.n))"
"""Whether turn `t` is the first of its endpoint."""

FREE = "settled_at IS NULL AND claim_id IS NULL AND due_at IS NOT NULL"
"""What a claim may lease, once it is due."""

AHEAD = 60.0
"""Seconds: what was served later than so much from now was served by a clock that has been put right since. So long is
also the time between two looks for it, which read all that comes to its turn later."""

# For those that are full by another server's narrower limit.
_WIDEN = """
INSERT INTO turns (endpoint, at, served) SELECT endpoint, coalesce(served, $2), served FROM turns WHERE full_at < $1
"""

# Their first turns are that late, and a new one would be, too. The turn that is made here brings a claim to each, which
# then takes `served` for now.
_PUT_RIGHT = f"""
INSERT INTO turns (endpoint, at, served)
SELECT DISTINCT endpoint, $1::double precision, $1::double precision FROM turns t
WHERE at > $1 + {AHEAD} AND at < 'infinity' AND served > $1 + {AHEAD}
  AND NOT EXISTS (SELECT 1 FROM turns f WHERE f.endpoint = t.endpoint AND f.at <= $1)
"""

# Endpoints that are enabled, and when the first delivery of each may go.
_COMING = f"""
SELECT greatest(free.due_at, p.paused_until, p.next_send_at - {BURST}) AS at FROM {{turns}} t
JOIN endpoints p ON p.n = t.endpoint AND p.status = 'enabled'
CROSS JOIN LATERAL (SELECT due_at FROM deliveries WHERE endpoint = p.n AND {FREE} ORDER BY due_at LIMIT 1) free
"""

# Whether a place is free does not matter here: where none is, something is claimed.
_BUSY = f"""
SELECT EXISTS (SELECT 1 FROM deliveries WHERE claim_id IS NOT NULL) OR EXISTS (
  SELECT 1 FROM ({_COMING.format(turns="turns")} WHERE t.at <= $1) coming WHERE coming.at <= $1)
"""

_LOOK_AHEAD = 16
"""Turns that are looked at for the next due time, of those that have come and of those to come: a claim that finds all
that can be claimed leaves none of the former behind, and of the latter the first is true as a rule."""

# A turn may be too early; what is behind those looked at is no earlier than it says.
_NEXT_DUE = f"""
WITH near AS (
  (SELECT t.endpoint FROM turns t WHERE t.at <= $1 AND {IS_FIRST} ORDER BY t.at, t.n LIMIT {_LOOK_AHEAD})
  UNION ALL
  (SELECT endpoint FROM turns WHERE at > $1 AND at < 'infinity' ORDER BY at, n LIMIT {_LOOK_AHEAD}))
SELECT min(at) FROM (
  {_COMING.format(turns="near")}
  UNION ALL
  (SELECT at FROM turns WHERE at > $1 AND at < 'infinity' ORDER BY at, n OFFSET {_LOOK_AHEAD} LIMIT 1)) ahead
WHERE at > $1
"""


async def have_come(connection: Connection, now: float, *, without: Collection[int]) -> bool:
    """Whether there are turns that have come, but of these endpoints (by row number)."""
    found: bool = await connection.fetchval(
        "SELECT EXISTS (SELECT 1 FROM turns WHERE at <= $1 AND endpoint <> ALL($2::bigint[]))", now, list(without)
    )
    return found


async def widen(connection: Connection, per_endpoint: int, now: float) -> None:
    """Let endpoints that are full by a narrower limit have another turn."""
    await connection.execute(_WIDEN, per_endpoint, now)


async def put_right(connection: Connection, now: float) -> None:
    """Let those have a turn that a clock which was ahead has put far behind all others."""
    await connection.execute(_PUT_RIGHT, now)


async def next_due(connection: Connection, now: float) -> float | None:
    """When the first endpoint of which nothing can be claimed yet comes to its turn, later than `now`."""
    due_at: float | None = await connection.fetchval(_NEXT_DUE, now)
    return due_at


async def is_busy(connection: Connection, now: float) -> bool:
    """True while anything is leased, or could be."""
    busy: bool = await connection.fetchval(_BUSY, now)
    return busy
