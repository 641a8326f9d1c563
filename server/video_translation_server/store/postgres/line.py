"""Who moves next in PostgreSQL: jobs are given to one server at a time, and those in line where a worker is free.

Every function takes a connection and runs inside the caller's transaction. Which server moves a job is a lease; that
the job is moved once is the business of its version.
"""

from dataclasses import dataclass

from video_translation_server.model import FAST, MAIN, Job, Place, Workers
from video_translation_server.store.base.rules import EXACT_PLACES, LOOK_BACK
from video_translation_server.store.postgres.database import LINE, LOCKS, Connection
from video_translation_server.store.postgres.reading import JOB, from_row
from video_translation_server.store.postgres.server import REAL_NOW, Server

MOVE_LEASE = 10.0
"""Real seconds for which a job is a server's to move: what a server that died was about to move, others move then."""

_NOW = REAL_NOW.format("$2")
_FREE = f"(mover IS NULL OR mover = $1 OR moving_until <= {_NOW})"

# MATERIALIZED, or the limit could be applied anew for each row that is joined.
_GIVE = f"""
WITH given AS MATERIALIZED (
  SELECT n AS number FROM jobs WHERE {{whose}} AND {_FREE} ORDER BY {{order}} LIMIT {{limit}}
  FOR NO KEY UPDATE SKIP LOCKED)
UPDATE jobs j SET mover = $1, moving_until = {_NOW} + {MOVE_LEASE}
FROM given WHERE j.n = given.number RETURNING {JOB}, j.n
"""
_GIVE_DUE = _GIVE.format(whose="due_at <= $3", order="due_at", limit="$4")
_GIVE_PREFLIGHT = _GIVE.format(whose="in_preflight", order="n", limit="$3")
_GIVE_NEXT = _GIVE.format(whose="lane = $3 AND rank IS NOT NULL", order="rank, n", limit="$4")

_ANY_IN_LINE = (
    "SELECT wanted FROM unnest(ARRAY[0, 1]) AS wanted "
    "WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.lane = wanted AND j.rank IS NOT NULL)"
)
_HOLD_LANE = "SELECT pg_advisory_xact_lock($1, $2)"
# Who was given to another server begins to run at any moment.
_COUNT_BUSY = f"""
SELECT (SELECT count(*) FROM jobs WHERE lane = $3 AND status = 'running')
  + (SELECT count(*) FROM jobs WHERE lane = $3 AND rank IS NOT NULL AND NOT {_FREE})
"""

_BUSY = f"SELECT {JOB} FROM jobs j WHERE lane = $1 AND status = 'running' LIMIT {EXACT_PLACES}"
_SELF = "SELECT n, lane, rank FROM jobs WHERE id = $1 AND rank IS NOT NULL"
_AHEAD = (
    "SELECT n, seconds FROM jobs WHERE lane = $1 AND rank IS NOT NULL AND (rank, n) < ($2, $3) "
    f"ORDER BY rank, n LIMIT {EXACT_PLACES}"
)
_BEFORE = (
    "SELECT max(n) FROM (SELECT n FROM jobs WHERE lane = $1 AND rank IS NOT NULL AND (rank, n) <= ($2, $3) "
    f"ORDER BY rank DESC, n DESC LIMIT {LOOK_BACK}) before"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a server asks for: jobs to move at `now`, at most `limit`, on so many workers."""

    server: Server
    now: float
    limit: int
    workers: Workers


async def due(connection: Connection, wish: Wish) -> list[Job]:
    """Jobs whose next move is due, then those in line for whom a worker is free; they are the server's to move."""
    who = (wish.server.number, wish.server.real_now())
    rows = await connection.fetch(_GIVE_DUE, *who, wish.now, wish.limit)
    found = sorted(map(from_row, rows), key=lambda job: job.due_at or 0.0)
    for (lane,) in await connection.fetch(_ANY_IN_LINE):
        found += await _next(connection, wish, lane, wish.limit - len(found))
    return found


async def in_preflight(connection: Connection, server: Server, limit: int) -> list[Job]:
    """Jobs whose video has not been looked at, the oldest first; they are the server's to look at."""
    rows = await connection.fetch(_GIVE_PREFLIGHT, server.number, server.real_now(), limit)
    return [from_row(row) for row in sorted(rows, key=lambda row: row[-1])]


async def _next(connection: Connection, wish: Wish, lane: int, limit: int) -> list[Job]:
    """The first of a lane."""
    assert lane in (MAIN, FAST)  # noqa: S101  (as the statement says)
    who = (wish.server.number, wish.server.real_now())
    workers = wish.workers.of(lane)
    if workers is not None and limit > 0:
        # One server at a time counts the busy ones: two would both give away the last free worker.
        await connection.execute(_HOLD_LANE, LOCKS, LINE + lane)
        limit = min(limit, workers - await connection.fetchval(_COUNT_BUSY, *who, lane))
    if limit <= 0:
        return []
    rows = await connection.fetch(_GIVE_NEXT, *who, lane, limit)
    return [from_row(row) for row in sorted(rows, key=lambda row: (row[16], row[-1]))]


async def give_back(connection: Connection, jobs: list[str], server: Server) -> None:
    """These jobs are anybody's to move, as far as they are still this server's."""
    await connection.execute(
        "UPDATE jobs SET mover = NULL, moving_until = NULL WHERE id = ANY($1::text[]) AND mover = $2",
        jobs,
        server.number,
    )


async def place(connection: Connection, job: Job) -> Place | None:
    """Where a job stands in line."""
    found = await connection.fetchrow(_SELF, job.id)
    if found is None:
        return None
    number, lane, rank = found
    ahead = await connection.fetch(_AHEAD, lane, rank, number)
    busy = [from_row(row) for row in await connection.fetch(_BUSY, lane)]
    beyond = 0
    if len(ahead) == EXACT_PLACES:
        # Who stands in line came in the order of the numbers, but for priorities and those who came back.
        newest = await connection.fetchval(_BEFORE, lane, rank, number)
        beyond = max(newest - max(row[0] for row in ahead) - 1, 0)
    return Place(ahead=[row[1] for row in ahead], beyond=beyond, busy=busy)
