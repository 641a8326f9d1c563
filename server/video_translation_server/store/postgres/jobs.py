"""Jobs in PostgreSQL: recording their moves, many callers' together, and the limit on how many go on.

Every function takes a connection and runs inside the caller's transaction. Reading jobs is in `reading`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from video_translation_server.errors import BusyError, ConflictError
from video_translation_server.ids import Ids
from video_translation_server.model import Batch, Change, Job
from video_translation_server.store.base import Keep
from video_translation_server.store.base.rules import LONGEST_REFUSAL
from video_translation_server.store.postgres import batches, endpoints, log, requests
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.deliveries import News
from video_translation_server.store.postgres.rows import Rows

_CREATED = Rows(
    {
        "id": "text",
        "workspace_id": "text",
        "status": "text",
        "sequence": "integer",
        "version": "integer",
        "output_language": "text",
        "request": "text",
        "plan": "text",
        "created_at": "double precision",
        "updated_at": "double precision",
        "due_at": "double precision",
        "progress": "integer",
        "files_at": "double precision",
        "failure_message": "text",
        "cancelled_at": "double precision",
        "runs": "integer",
        "rank": "double precision",
        "item": "integer",
        "in_preflight": "boolean",
        "lane": "integer",
        "seconds": "double precision",
        "batch_id": "text",
    }
)
_CREATE = f"""
INSERT INTO jobs ({_CREATED.names.removesuffix("_id")})
SELECT {_CREATED.names.removesuffix(", batch_id")}, (SELECT n FROM batches WHERE batches.id = batch_id)
FROM {_CREATED.table} ORDER BY ord ON CONFLICT (id) DO NOTHING RETURNING id, n
"""

_MOVED = Rows(
    {
        "id": "text",
        "status": "text",
        "sequence": "integer",
        "version": "integer",
        "plan": "text",
        "updated_at": "double precision",
        "due_at": "double precision",
        "progress": "integer",
        "files_at": "double precision",
        "failure_message": "text",
        "cancelled_at": "double precision",
        "runs": "integer",
        "rank": "double precision",
        "in_preflight": "boolean",
        "seconds": "double precision",
        "mover": "bigint",
    }
)
_MOVE = f"""
UPDATE jobs j SET status = given.status, sequence = given.sequence, version = given.version,
  plan = given.plan,
  updated_at = given.updated_at, due_at = given.due_at, progress = given.progress, files_at = given.files_at,
  failure_message = given.failure_message, cancelled_at = given.cancelled_at, runs = given.runs, rank = given.rank,
  in_preflight = given.in_preflight,
  seconds = given.seconds, mover = NULL, moving_until = NULL
FROM {_MOVED.table}
WHERE j.id = given.id AND j.version = given.version - 1 AND j.deleted_at IS NULL
  AND (given.mover IS NULL OR j.mover = given.mover)
RETURNING j.id, j.n
"""

# Counted no further than it matters: a workspace may have had no such limit before, and a million jobs.
_GOING_ON = (
    "SELECT count(*), min(due_at) FROM (SELECT due_at FROM jobs "
    "WHERE workspace_id = $1 AND status IN ('pending', 'running') AND deleted_at IS NULL LIMIT $2::bigint + 1) going_on"
)


@dataclass(frozen=True, slots=True)
class Recording:
    """What one caller wants to be recorded.

    Attributes:
        movers: For each change the server that was given the job to move it, where one was: the change takes place only
            while no other has been given it since.
    """

    changes: Sequence[Change]
    movers: Sequence[int | None]
    batch: Batch | None = None
    at_most: int | None = None
    keep: Keep[list[bool]] | None = None


@dataclass(frozen=True, slots=True)
class Recorder:
    """Carries out several callers' recordings together; `ids` makes the ids of batches' events."""

    ids: Ids

    async def record(self, connection: Connection, recordings: Sequence[Recording]) -> list[list[bool]]:
        """Move each job, append its event, and put a delivery on its way to each matching endpoint.

        1. Locks are taken in one order: limited workspaces, jobs, batches, open deliveries, the log's end.
        2. Whether a limit is kept is looked at last: then all is counted that was created.
        """
        limits = _limits(recordings)
        if limits:
            await _hold_workspaces(connection, list(limits))
        for recording in recordings:
            if recording.batch is not None:
                await batches.create(connection, recording.batch)
        changes = [change for recording in recordings for change in recording.changes]
        movers = [mover for recording in recordings for mover in recording.movers]
        numbers = await _place(connection, changes, movers)
        await self._append(connection, changes, numbers)
        for workspace_id, (at_most, now) in limits.items():
            await _check_going_on(connection, workspace_id, at_most, now)
        answers = list(_split(recordings, numbers))
        kept = [(recording.keep, answer) for recording, answer in zip(recordings, answers, strict=True)]
        await requests.keep_answers(connection, [(keep, answer) for keep, answer in kept if keep is not None])
        return answers

    async def _append(self, connection: Connection, changes: Sequence[Change], numbers: Sequence[int | None]) -> None:
        news, ended = [], {}
        for change, number in zip(changes, numbers, strict=True):
            if number is None:
                continue
            news.append(News(change.event, job=number, calls_back=change.job.calls_back_before_its_end))
            if change.callback is not None:
                await endpoints.create(connection, change.callback)
            if change.job.batch_id is not None and change.job.status.is_terminal:
                ended[change.job.batch_id] = change.event.created_at
        if ended:
            await batches.hold(connection, list(ended))
        if news:
            await log.append(connection, news)
        if ended:
            await batches.tell_of_end(connection, ended, self.ids)


def _split(recordings: Sequence[Recording], numbers: Sequence[int | None]) -> Iterable[list[bool]]:
    """Whether each change took place, by caller."""
    start = 0
    for recording in recordings:
        end = start + len(recording.changes)
        yield [number is not None for number in numbers[start:end]]
        start = end


async def _place(connection: Connection, changes: Sequence[Change], movers: Sequence[int | None]) -> list[int | None]:
    """Write the jobs as they are after the changes: their row numbers, None where another writer was faster.

    Changes of one job are written one after the other, those of different jobs together.
    """
    rounds: list[list[int]] = []
    turns: dict[str, int] = {}
    for index, change in enumerate(changes):
        turn = turns.get(change.job.id, 0)
        turns[change.job.id] = turn + 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(index)
    numbers: list[int | None] = [None] * len(changes)
    for together in rounds:
        created = [changes[index].job for index in together if changes[index].job.version == 1]
        moved = [(changes[index].job, movers[index]) for index in together if changes[index].job.version > 1]
        found = await _create(connection, created) | await _move(connection, moved)
        for index in together:
            numbers[index] = found.get(changes[index].job.id)
    return numbers


async def _create(connection: Connection, jobs: Sequence[Job]) -> dict[str, int]:
    if not jobs:
        return {}
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
    found = dict(await _pairs(connection, _CREATE, _CREATED.of(rows)))
    for job in jobs:
        if job.id not in found:
            raise ConflictError(f"a job with the id {job.id} exists already", param="id")
    return found


async def _move(connection: Connection, moved: Sequence[tuple[Job, int | None]]) -> dict[str, int]:
    if not moved:
        return {}
    rows = [
        (
            job.id,
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
            mover,
        )
        for job, mover in moved
    ]
    return dict(await _pairs(connection, _MOVE, _MOVED.of(rows)))


async def _pairs(connection: Connection, statement: str, values: list[list[Any]]) -> list[tuple[str, int]]:
    return [(row[0], row[1]) for row in await connection.fetch(statement, *values)]


def _next_run(job: Job) -> float | None:
    """How long a job that stands in line will run."""
    return None if job.rank is None else job.plan.run_seconds(job.runs + 1)


def _limits(recordings: Sequence[Recording]) -> dict[str, tuple[int, float]]:
    """How many jobs may go on in each workspace that is limited, and the time that it is."""
    limits: dict[str, tuple[int, float]] = {}
    for recording in recordings:
        for change in recording.changes if recording.at_most is not None else ():
            at_most, _ = limits.get(change.job.workspace_id, (math.inf, 0.0))
            limits[change.job.workspace_id] = (int(min(at_most, recording.at_most or 0)), change.event.created_at)
    return limits


async def _hold_workspaces(connection: Connection, workspace_ids: list[str]) -> None:
    """Nobody else may create jobs there under a limit meanwhile: they would not be counted."""
    await connection.execute(
        "SELECT 1 FROM workspaces WHERE id = ANY($1::text[]) ORDER BY n FOR NO KEY UPDATE", workspace_ids
    )


async def _check_going_on(connection: Connection, workspace_id: str, at_most: int, now: float) -> None:
    """Refuse what has been recorded if the workspace has more jobs now than may go on at once."""
    count, next_due = await connection.fetchrow(_GOING_ON, workspace_id, at_most)
    if count > at_most:
        raise BusyError(
            f"at most {at_most} video translations of this workspace may go on at once",
            retry_after=1 if next_due is None else min(max(math.ceil(next_due - now), 1), LONGEST_REFUSAL),
        )
