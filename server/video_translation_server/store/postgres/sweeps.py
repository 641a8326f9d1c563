"""Sweeps in PostgreSQL: walks through the log that take up again what an endpoint did not get.

Every function takes a connection and runs inside the caller's transaction; a walk goes on where its row says, and one
server at a time takes its next step.
"""

from dataclasses import dataclass

import msgspec

from video_translation_server.errors import NotFoundError
from video_translation_server.model import DeliveryState, Endpoint, Sweep, SweepKind
from video_translation_server.store.base import records
from video_translation_server.store.postgres import deliveries, endpoints
from video_translation_server.store.postgres.database import SWEPT, Connection
from video_translation_server.store.postgres.days import DAY
from video_translation_server.wire.events import BY_NAME_ONLY, NOTICES

SWEEP = "s.id, s.workspace_id, p.id, s.kind, s.since, s.created_at, s.position, s.until, s.found, s.finished_at"
_JOINED = "sweeps s JOIN endpoints p ON p.n = s.endpoint"

# Those that are held back by their endpoint's backlog are no part of it, however many: the others must not wait behind.
_GOING_ON = f"""
SELECT {SWEEP}, s.endpoint FROM {_JOINED} WHERE s.finished_at IS NULL AND NOT EXISTS (
  SELECT 1 FROM deliveries WHERE endpoint = s.endpoint OFFSET $1::integer - 1 LIMIT 1)
ORDER BY s.created_at LIMIT 100 FOR NO KEY UPDATE OF s SKIP LOCKED
"""

_FAILED = (DeliveryState.DEAD, DeliveryState.SUPERSEDED)

_START = """
INSERT INTO sweeps (id, workspace_id, endpoint, kind, since, position, until, found, created_at)
SELECT $1, $2, $3, $4, $5, coalesce((
    SELECT position FROM events WHERE workspace_id = $2 AND created_at < $5 ORDER BY position DESC LIMIT 1), 0),
  log.position, 0, $6
FROM log RETURNING position, until
"""

# Nothing is settled before it happens, so that only the days since need to be looked into (with one day's margin).
# OFFSET 0: it is looked for event by event, or all of those days might be read.
_PAGE = f"""
SELECT e.position, e.type, e.job, coalesce((SELECT id FROM jobs WHERE n = e.job),
  (SELECT id FROM batches WHERE n = e.batch)), d.id, d.state, d.is_kept
FROM (SELECT * FROM events WHERE workspace_id = $1 AND position > $2 AND position <= $3 ORDER BY position LIMIT $4) e
LEFT JOIN LATERAL (
  SELECT id, state, is_kept FROM every_delivery
  WHERE event = e.position AND endpoint = $5 AND (settled_at IS NULL OR settled_at >= e.created_at - {DAY})
  OFFSET 0) d ON true
ORDER BY e.position
"""


async def start(connection: Connection, sweep: Sweep) -> Sweep:
    """Keep the order; it ends at what is the log's end now."""
    number, _ = await endpoints.find(connection, sweep.workspace_id, sweep.endpoint_id)
    position, until = await connection.fetchrow(
        _START, sweep.id, sweep.workspace_id, number, sweep.kind, sweep.since, sweep.created_at
    )
    return msgspec.structs.replace(sweep, position=position, until=until)


async def get(connection: Connection, workspace_id: str, sweep_id: str) -> Sweep:
    """One sweep of the workspace."""
    row = await connection.fetchrow(
        f"SELECT {SWEEP} FROM {_JOINED} WHERE s.id = $1 AND s.workspace_id = $2", sweep_id, workspace_id
    )
    if row is None:
        raise NotFoundError(f"no recovery {sweep_id}", param="recovery_id")
    return records.sweep(row)


async def are_running(connection: Connection) -> bool:
    """True while there is a sweep to move on."""
    running: bool = await connection.fetchval("SELECT EXISTS (SELECT 1 FROM sweeps WHERE finished_at IS NULL)")
    return running


async def advance(connection: Connection, now: float, *, chunk: int, backlog: int) -> bool:
    """Move running sweeps on that no other server moves; True while one of them could go on at once."""
    running = await connection.fetch(_GOING_ON, backlog)
    walk = _Walk(connection, now, chunk, backlog)
    # Every one of them is moved on, whatever the one before says.
    return sum([await walk.advance(row[-1], records.sweep(row)) for row in running]) > 0


@dataclass(frozen=True, slots=True)
class _Walk:
    """One step of every running sweep, at one instant."""

    connection: Connection
    now: float
    chunk: int
    backlog: int

    async def advance(self, number: int, sweep: Sweep) -> bool:
        """Move one on; True while it could go on at once."""
        endpoint = await self._living(number)
        if endpoint is None:
            await self._keep(sweep, finished=True)
            return False
        if not await self._is_ours(number):
            return False
        if await self._backlog_of(number) >= self.backlog:
            return False
        rows = await self.connection.fetch(_PAGE, sweep.workspace_id, sweep.position, sweep.until, self.chunk, number)
        # Afterwards: before a day is dropped, it is said here that something may be missing.
        forgotten = await self.connection.fetchval("SELECT forgotten FROM endpoints WHERE n = $1", number)
        missed = [
            (delivery, position, job)
            for position, event_type, job, entity_id, delivery, state, is_kept in rows
            if _wants(endpoint, event_type, entity_id)
            and is_kept is not False  # its day has not been dropped yet, that is all
            and _was_missed(sweep.kind, state, is_forgotten=position <= forgotten)
        ]
        if missed:
            await deliveries.take_up(self.connection, endpoint=number, missed=missed, now=self.now)
        finished = len(rows) < self.chunk
        reached = sweep.until if finished else rows[-1][0]
        moved = msgspec.structs.replace(sweep, position=reached, found=sweep.found + len(missed))
        await self._keep(moved, finished=finished)
        return not finished

    async def _living(self, number: int) -> Endpoint | None:
        """The endpoint, unless it was deleted."""
        row = await self.connection.fetchrow(
            f"SELECT {endpoints.ENDPOINT} FROM endpoints WHERE n = $1 AND deleted_at IS NULL", number
        )
        return None if row is None else endpoints.read(row)

    async def _is_ours(self, endpoint: int) -> bool:
        """Whether no other server takes a step for this endpoint, and none begins one before our commit.

        Another sweep of it may find the same events to be missing.
        """
        ours: bool = await self.connection.fetchval(
            "SELECT pg_try_advisory_xact_lock($1, ($2::bigint % 2147483647)::integer)", SWEPT, endpoint
        )
        return ours

    async def _backlog_of(self, endpoint: int) -> int:
        waiting: int = await self.connection.fetchval(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE endpoint = $1 AND settled_at IS NULL "
            "AND claim_id IS NULL LIMIT $2) unclaimed) "
            "+ (SELECT count(*) FROM deliveries WHERE endpoint = $1 AND claim_id IS NOT NULL)",
            endpoint,
            self.backlog,
        )
        return waiting

    async def _keep(self, sweep: Sweep, *, finished: bool) -> None:
        await self.connection.execute(
            "UPDATE sweeps SET position = $2, found = $3, finished_at = $4 WHERE id = $1",
            sweep.id,
            sweep.position,
            sweep.found,
            self.now if finished else None,
        )


def _was_missed(kind: SweepKind, state: str | None, *, is_forgotten: bool) -> bool:
    """Whether an event is to be taken up whose delivery is in this state (None: there is none)."""
    if state is None:
        return not is_forgotten  # else it may have arrived long ago
    return kind is not SweepKind.REPLAY and state in _FAILED


def _wants(endpoint: Endpoint, event_type: str, entity_id: str | None) -> bool:
    """As `enqueue` decides in SQL; notices and tests had their one chance."""
    if event_type in NOTICES or entity_id is None:
        return False
    if endpoint.entity_id not in (None, entity_id):
        return False
    if endpoint.events is None:
        return event_type not in BY_NAME_ONLY
    return event_type in endpoint.events
