"""Lanes in PostgreSQL: of one job and endpoint, deliveries go one after the other; what failed too often gives way.

Every function takes a connection and runs inside the caller's transaction. Whoever puts a delivery behind open ones
holds those until its commit: so they cannot be settled meanwhile without what waits behind them being released.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from video_translation_server.model import DeliveryState
from video_translation_server.store.base.rules import SUPERSEDE_AFTER
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.rows import Rows
from video_translation_server.store.postgres.settled import away
from video_translation_server.wire.events import FINAL_TYPES, PROGRESS

FIRST, AGAIN = 0, 1
"""The lanes: of first deliveries, and of those taken up again."""

_FINAL = ", ".join(f"'{name}'" for name in sorted(FINAL_TYPES))

_HOLD = """
SELECT tries FROM deliveries WHERE job = ANY($1::bigint[]) AND lane = $2 AND settled_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""

_GIVEN = "unnest($1::bigint[], $2::double precision[]) AS given(job, at), events e"
_IDLE = "d.job = given.job AND d.settled_at IS NULL AND d.claim_id IS NULL AND d.lane = 0 AND e.position = d.event"
# A progress event that is not being sent is worth nothing once a newer one exists; what was taken up again is wanted.
_COALESCE = away(
    given=_GIVEN,
    which=f"{_IDLE} AND e.type = '{PROGRESS}'",
    state=DeliveryState.SUPERSEDED,
    at="given.at",
)
_SUPERSEDE = away(
    given=_GIVEN,
    which=f"""{_IDLE} AND d.tries >= {SUPERSEDE_AFTER} AND e.type NOT IN ({_FINAL})
  AND EXISTS (SELECT 1 FROM deliveries w WHERE w.endpoint = d.endpoint AND w.job = d.job AND w.lane = 0
              AND w.settled_at IS NULL AND w.state = 'waiting' AND w.event > d.event)""",
    state=DeliveryState.SUPERSEDED,
    at="given.at",
)

_LANES = Rows({"endpoint": "bigint", "job": "bigint", "lane": "integer", "at": "double precision"})
_RELEASE_NEXT = f"""
UPDATE deliveries d SET state = 'due', due_at = next.at
FROM {_LANES.table} CROSS JOIN LATERAL (
  SELECT o.id, given.at FROM deliveries o
  WHERE o.job = given.job AND o.endpoint = given.endpoint AND o.lane = given.lane AND o.settled_at IS NULL
  ORDER BY o.event LIMIT 1) next
WHERE d.id = next.id AND d.state = 'waiting'
"""


@dataclass(frozen=True, slots=True)
class Left:
    """A lane whose first delivery has gone, by row numbers, and when; without a job there is no order."""

    endpoint: int
    job: int | None
    lane: int
    at: float


async def hold(connection: Connection, jobs: Sequence[int], lane: int) -> int:
    """Hold the open deliveries of these jobs; the most tries that one of them has had."""
    rows = await connection.fetch(_HOLD, jobs, lane)
    return max((row[0] for row in rows), default=0)


async def coalesce(connection: Connection, jobs: Iterable[tuple[int, float]]) -> None:
    """Set progress events aside that a newer one of their job (at this time) makes worthless."""
    await _set_aside(connection, _COALESCE, jobs)


async def supersede(connection: Connection, jobs: Iterable[tuple[int, float]]) -> None:
    """Set aside what has failed 3 times while a later snapshot of the same job waits behind it."""
    await _set_aside(connection, _SUPERSEDE, jobs)


async def _set_aside(connection: Connection, statement: str, jobs: Iterable[tuple[int, float]]) -> None:
    given = dict(jobs)
    if given:
        rows = await connection.fetch(statement, list(given), list(given.values()))
        await release_next(connection, [Left(*row) for row in rows])


async def release_next(connection: Connection, left: Iterable[Left]) -> None:
    """Make the oldest that waits in each lane due."""
    rows = [(lane.endpoint, lane.job, lane.lane, lane.at) for lane in set(left) if lane.job is not None]
    if rows:
        await connection.execute(_RELEASE_NEXT, *_LANES.of(rows))
