"""Sweeps in SQLite: walks through the log that take up again what an endpoint did not get.

Every function takes a connection and runs inside the caller's transaction; a walk goes on where its row says.
"""

from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from video_translation_server.errors import NotFoundError
from video_translation_server.model import DeliveryState, Endpoint, Sweep, SweepKind
from video_translation_server.store.base import records
from video_translation_server.store.sqlite import deliveries, endpoints, log, spans
from video_translation_server.wire.events import BY_NAME_ONLY, NOTICES

SWEEP = "s.id, s.workspace_id, p.id, s.kind, s.since, s.created_at, s.position, s.until, s.found, s.finished_at"
_JOINED = "sweeps s JOIN endpoints p ON p.n = s.endpoint"

_BEFORE = (
    f"SELECT position FROM events WHERE {log.IN_SPAN} AND workspace_id = :workspace AND created_at < :since "
    "ORDER BY position DESC LIMIT 1"
)

_STEP = (
    "SELECT position, type, job, "
    "coalesce((SELECT id FROM jobs WHERE n = job), (SELECT id FROM batches WHERE n = batch)) "
    f"FROM events WHERE {log.IN_SPAN} AND workspace_id = :workspace AND position > :after AND position <= :until "
    "ORDER BY position LIMIT :limit"
)

# Those that are held back by their endpoint's backlog are no part of it, however many: the others must not wait behind.
_GOING_ON = (
    f"SELECT s.endpoint, {SWEEP} FROM {_JOINED} WHERE s.finished_at IS NULL AND NOT EXISTS ("
    "SELECT 1 FROM deliveries WHERE endpoint = s.endpoint AND settled_at IS NULL LIMIT 1 OFFSET :backlog - 1) "
    "ORDER BY s.created_at LIMIT 100"
)

_FAILED = (DeliveryState.DEAD, DeliveryState.SUPERSEDED)


def start(connection: apsw.Connection, sweep: Sweep) -> Sweep:
    """Keep the order; it ends at what is the log's end now."""
    number, _ = endpoints.find(connection, sweep.workspace_id, sweep.endpoint_id)
    until = log.last_position(connection)
    values = {"workspace": sweep.workspace_id, "since": sweep.since}
    before = spans.newest_first(connection, _BEFORE, values, of="events.position", before=until + 1, most=1)
    started = msgspec.structs.replace(sweep, position=before[0][0] if before else 0, until=until)
    connection.execute(
        "INSERT INTO sweeps (id, workspace_id, endpoint, kind, since, position, until, found, created_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
        (
            started.id,
            started.workspace_id,
            number,
            started.kind,
            started.since,
            started.position,
            started.until,
            started.created_at,
        ),
    )
    return started


def get(connection: apsw.Connection, workspace_id: str, sweep_id: str) -> Sweep:
    """One sweep of the workspace."""
    rows = connection.execute(
        f"SELECT {SWEEP} FROM {_JOINED} WHERE s.id = ? AND s.workspace_id = ?", (sweep_id, workspace_id)
    )
    for row in rows:
        return records.sweep(row)
    raise NotFoundError(f"no recovery {sweep_id}", param="recovery_id")


def advance(connection: apsw.Connection, now: float, *, chunk: int, backlog: int) -> bool:
    """Move running sweeps on; True while one of them could go on at once."""
    running: list[Any] = connection.execute(_GOING_ON, {"backlog": backlog}).fetchall()
    walk = _Walk(connection, now, chunk, backlog)
    # Every one of them is moved on, whatever the one before says.
    return sum([walk.advance(row[0], records.sweep(row[1:])) for row in running]) > 0


@dataclass(frozen=True, slots=True)
class _Walk:
    """One step of every running sweep, at one instant."""

    connection: apsw.Connection
    now: float
    chunk: int
    backlog: int

    def advance(self, number: int, sweep: Sweep) -> bool:
        """Move one on; True while it could go on at once."""
        endpoint = _living(self.connection, number)
        if endpoint is None:
            self._keep(sweep, finished=True)
            return False
        if self._backlog_of(number) >= self.backlog:
            return False
        values = {
            "workspace": sweep.workspace_id,
            "after": sweep.position,
            "until": sweep.until,
            "limit": self.chunk,
        }
        rows = spans.oldest_first(
            self.connection,
            _STEP,
            values,
            of="events.position",
            after=sweep.position,
            most=self.chunk,
            until=sweep.until,
        )
        forgotten = self.connection.execute("SELECT forgotten FROM endpoints WHERE n = ?", (number,)).get
        found = sweep.found
        for position, event_type, job, entity_id in rows:
            if _wants(endpoint, event_type, entity_id):
                found += self._take_up(sweep.kind, number, position, job, is_forgotten=position <= forgotten)
        finished = len(rows) < self.chunk
        reached = sweep.until if finished else rows[-1][0]
        self._keep(msgspec.structs.replace(sweep, position=reached, found=found), finished=finished)
        return not finished

    def _backlog_of(self, endpoint: int) -> int:
        waiting: Any = self.connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM deliveries WHERE endpoint = ? AND settled_at IS NULL LIMIT ?)",
            (endpoint, self.backlog),
        ).get
        return int(waiting)

    def _take_up(self, kind: SweepKind, endpoint: int, event: int, job: int | None, *, is_forgotten: bool) -> bool:
        row = self.connection.execute(
            "SELECT id, state FROM deliveries WHERE event = ? AND endpoint = ?", (event, endpoint)
        ).fetchone()
        if row is None and is_forgotten:
            return False  # it may have arrived long ago
        if row is not None and (kind is SweepKind.REPLAY or row[1] not in _FAILED):
            return False
        delivery = None if row is None else row[0]
        deliveries.take_up(self.connection, delivery=delivery, event=event, endpoint=endpoint, job=job, now=self.now)
        return True

    def _keep(self, sweep: Sweep, *, finished: bool) -> None:
        self.connection.execute(
            "UPDATE sweeps SET position = ?, found = ?, finished_at = ? WHERE id = ?",
            (sweep.position, sweep.found, self.now if finished else None, sweep.id),
        )


def _living(connection: apsw.Connection, number: int) -> Endpoint | None:
    rows = connection.execute(
        f"SELECT {endpoints.ENDPOINT} FROM endpoints WHERE n = ? AND deleted_at IS NULL", (number,)
    )
    return next((endpoints.read(row) for row in rows), None)


def _wants(endpoint: Endpoint, event_type: str, entity_id: str | None) -> bool:
    """As `enqueue` decides in SQL; notices and tests had their one chance."""
    if event_type in NOTICES or entity_id is None:
        return False
    if endpoint.entity_id not in (None, entity_id):
        return False
    if endpoint.events is None:
        return event_type not in BY_NAME_ONLY
    return event_type in endpoint.events
