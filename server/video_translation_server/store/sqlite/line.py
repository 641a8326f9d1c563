"""The line of jobs in SQLite: who moves next, and where a job stands.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Iterator
from typing import Any

import apsw

from video_translation_server.model import FAST, MAIN, Job, Place, Workers
from video_translation_server.store.base.rules import EXACT_PLACES, LOOK_BACK
from video_translation_server.store.sqlite.jobs import JOB, from_row

_DUE = f"SELECT {JOB} FROM jobs WHERE due_at <= ? ORDER BY due_at LIMIT ?"

_NEXT = f"SELECT {JOB} FROM jobs WHERE lane = ? AND rank IS NOT NULL ORDER BY rank, n LIMIT ?"

_BUSY = f"SELECT {JOB} FROM jobs WHERE lane = ? AND status = 'running' LIMIT ?"

_COUNT_BUSY = "SELECT count(*) FROM jobs WHERE lane = ? AND status = 'running'"

_SELF = "SELECT n, lane, rank FROM jobs WHERE id = ? AND rank IS NOT NULL"

_AHEAD = (
    "SELECT n, seconds FROM jobs WHERE lane = ?1 AND rank IS NOT NULL AND (rank, n) < (?2, ?3) "
    "ORDER BY rank, n LIMIT ?4"
)

# Two parts: many may have come at the same instant, and the index is not entered at (rank, n) but at the rank alone.
_BEFORE = """
SELECT max(n) FROM (
  SELECT n FROM (SELECT n FROM jobs WHERE lane = :lane AND rank = :rank AND n <= :n ORDER BY n DESC LIMIT :most)
  UNION ALL
  SELECT n FROM (SELECT n FROM jobs WHERE lane = :lane AND rank < :rank ORDER BY rank DESC, n DESC LIMIT :most)
  LIMIT :most)
"""


def due(connection: apsw.Connection, now: float, limit: int, workers: Workers) -> list[Job]:
    """Jobs whose next move is due, then those in line for whom a worker is free."""
    found = [from_row(row) for row in connection.execute(_DUE, (now, limit))]
    for lane in (MAIN, FAST):
        found += _next(connection, lane, workers.of(lane), limit - len(found))
    return found


def _next(connection: apsw.Connection, lane: int, workers: int | None, limit: int) -> Iterator[Job]:
    """The first of a lane."""
    if workers is not None and limit > 0:
        limit = min(limit, workers - connection.execute(_COUNT_BUSY, (lane,)).get)
    if limit > 0:
        yield from map(from_row, connection.execute(_NEXT, (lane, limit)))


def place(connection: apsw.Connection, job: Job) -> Place | None:
    """Where a job stands in line."""
    found = connection.execute(_SELF, (job.id,)).fetchall()
    if not found:
        return None
    [(number, lane, rank)] = found
    ahead: list[Any] = connection.execute(_AHEAD, (lane, rank, number, EXACT_PLACES)).fetchall()
    busy = [from_row(row) for row in connection.execute(_BUSY, (lane, EXACT_PLACES))]
    beyond = 0
    if len(ahead) == EXACT_PLACES:
        # Who stands in line came in the order of the numbers, but for priorities and those who came back.
        newest = connection.execute(_BEFORE, {"lane": lane, "rank": rank, "n": number, "most": LOOK_BACK}).get
        beyond = max(newest - max(n for n, _ in ahead) - 1, 0)
    return Place(ahead=[seconds for _, seconds in ahead], beyond=beyond, busy=busy)
