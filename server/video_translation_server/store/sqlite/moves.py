"""Moves of jobs in SQLite: written together with their events and deliveries, a statement for all of them.

Every function takes a connection and runs inside the caller's transaction. What a delivery is and where it stands in
line is the business of `deliveries`, the log that of `log`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import apsw
import msgspec

from video_translation_server.errors import ConflictError
from video_translation_server.ids import Ids
from video_translation_server.model import Change, Job
from video_translation_server.store.sqlite import batches, endpoints, log
from video_translation_server.store.sqlite.handover import Handover
from video_translation_server.store.sqlite.jobs import COLUMNS
from video_translation_server.store.sqlite.rows import ClashError, Rows

_CREATE = Rows(
    f"INSERT OR FAIL INTO jobs ({COLUMNS}, lane, seconds, batch) VALUES {{rows}}",
    columns=22,
    last="(SELECT n FROM batches WHERE id = ?)",
)

# Asked for together before they are moved: a RETURNING per move would be a third of its cost.
_STANDING = """
SELECT j.id, j.version, j.n FROM json_each(?) asked CROSS JOIN jobs j ON j.id = asked.value WHERE j.deleted_at IS NULL
"""

# One by one: as a list, it would cost more.
_MOVE = (
    "UPDATE OR FAIL jobs SET status = ?, sequence = ?, version = ?, plan = ?, updated_at = ?, due_at = ?, "
    "progress = ?, files_at = ?, failure_message = ?, cancelled_at = ?, runs = ?, rank = ?, in_preflight = ?, "
    "seconds = ? WHERE n = ?"
)


def record_each(
    connection: apsw.Connection, asked: Sequence[Sequence[Change]], ids: Ids, handover: Handover | None = None
) -> list[list[bool]]:
    """What several callers ask to record, in their order; for each what `record` answers."""
    recorded = iter(record(connection, [change for changes in asked for change in changes], ids, handover))
    return [[next(recorded) for _ in changes] for changes in asked]


def record(
    connection: apsw.Connection, changes: Sequence[Change], ids: Ids, handover: Handover | None = None
) -> list[bool]:
    """Move each job, append its event, and put a delivery on its way to each matching endpoint.

    Raises:
        ConflictError: A job or an event to be created exists.
    """
    recorded = [took_place for wave in _waves(changes) for took_place in _record(connection, wave, handover)]
    # Last of all: a job may be created and end before the next one of its batch is created.
    ended = {
        change.job.batch_id: change
        for change, took_place in zip(changes, recorded, strict=True)
        if took_place and change.job.batch_id is not None and change.job.status.is_terminal
    }
    for batch_id, change in ended.items():
        batches.tell_of_end(connection, change.job.workspace_id, batch_id, ids, now=change.event.created_at)
    return recorded


def _waves(changes: Sequence[Change]) -> Iterator[Sequence[Change]]:
    """The changes in their order, cut where one is about a job that the same statement would move already."""
    begin, seen = 0, set[str]()
    for place, change in enumerate(changes):
        if change.job.id in seen:
            yield changes[begin:place]
            begin, seen = place, set()
        seen.add(change.job.id)
    if begin < len(changes):
        yield changes[begin:]


def _record(connection: apsw.Connection, changes: Sequence[Change], handover: Handover | None) -> list[bool]:
    created = iter(_create(connection, [change.job for change in changes if change.job.version == 1]))
    moved = iter(_move(connection, [change.job for change in changes if change.job.version > 1]))
    numbers = [next(created if change.job.version == 1 else moved) for change in changes]
    happened = [(change, number) for change, number in zip(changes, numbers, strict=True) if number is not None]
    for change, _ in happened:
        if change.callback is not None:
            endpoints.create(connection, change.callback)
    log.append_all(connection, [change for change, _ in happened], [number for _, number in happened], handover)
    return [number is not None for number in numbers]


def _create(connection: apsw.Connection, jobs: Sequence[Job]) -> range:
    """The new jobs' row numbers."""
    rows = [
        (
            job.id,
            job.workspace_id,
            job.status,
            job.sequence,
            job.version,
            job.output_language,
            msgspec.json.encode(job.request).decode(),
            msgspec.json.encode(job.plan).decode(),
            job.created_at,
            job.updated_at,
            job.due_at,
            job.progress,
            job.files_at,
            job.failure_message,
            job.cancelled_at,
            job.runs,
            job.rank,
            job.item_index,
            job.in_preflight,
            job.plan.lane,
            _next_run(job),
            job.batch_id,
        )
        for job in jobs
    ]
    try:
        return _CREATE.insert(connection, rows)
    except ClashError as clash:
        raise ConflictError(f"a job with the id {clash.key} exists already", param="id") from None


def _move(connection: apsw.Connection, jobs: Sequence[Job]) -> Sequence[int | None]:
    """The jobs' row numbers, or None for one of which another writer was faster: it has another version by now."""
    if not jobs:
        return []
    ids = msgspec.json.encode([job.id for job in jobs]).decode()
    standing = {job_id: (version, number) for job_id, version, number in connection.execute(_STANDING, (ids,))}
    numbers: list[int | None] = []
    rows = []
    for job in jobs:
        version, number = standing.get(job.id, (0, 0))
        numbers.append(number if version == job.version - 1 else None)
        if version == job.version - 1:
            rows.append((*_moving(job), number))
    connection.executemany(_MOVE, rows)
    return numbers


def _moving(job: Job) -> tuple[Any, ...]:
    """What a move may change."""
    return (
        job.status,
        job.sequence,
        job.version,
        msgspec.json.encode(job.plan).decode(),
        job.updated_at,
        job.due_at,
        job.progress,
        job.files_at,
        job.failure_message,
        job.cancelled_at,
        job.runs,
        job.rank,
        job.in_preflight,
        _next_run(job),
    )


def _next_run(job: Job) -> float | None:
    """How long a job that stands in line will run."""
    return None if job.rank is None else job.plan.run_seconds(job.runs + 1)
