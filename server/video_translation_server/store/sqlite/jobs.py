"""Jobs in SQLite: reading them, and what changes them without an event.

Every function takes a connection and runs inside the caller's transaction. Their moves are the business of `moves`.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import apsw
import msgspec

from video_translation_server.errors import BusyError, ConflictError, NotFoundError
from video_translation_server.model import Batch, Change, Job, JobStatus, Plan
from video_translation_server.store.base import JobFilter
from video_translation_server.store.base.rules import LONGEST_REFUSAL
from video_translation_server.store.sqlite import batches, spans

COLUMNS = (
    "id, workspace_id, status, sequence, version, output_language, request, plan, created_at, updated_at, "
    "due_at, progress, files_at, failure_message, cancelled_at, runs, rank, item, in_preflight"
)
JOB = f"{COLUMNS}, (SELECT id FROM batches WHERE n = batch)"

# The + keeps SQLite from reading the whole workspace instead of looking up each id.
_MANY = (
    f"SELECT {JOB} FROM jobs WHERE id IN (SELECT value FROM json_each(?)) AND +workspace_id = ? AND deleted_at IS NULL"
)

# Counted no further than it matters: a workspace may have had no such limit before, and a million jobs.
_GOING_ON = (
    "SELECT count(*), min(due_at) FROM (SELECT due_at FROM jobs "
    "WHERE workspace_id = ? AND status IN ('pending', 'running') AND deleted_at IS NULL LIMIT ? + 1)"
)

_OLDER = "deleted_at IS NULL AND n < :before AND (:created_after IS NULL OR created_at > :created_after)"
_NEWEST_FIRST = "ORDER BY n DESC LIMIT :limit + 1"
# Through each workspace's part of the index: a status that is rare is found without reading every job.
_OF_ALL = (
    f"SELECT n, {JOB} FROM jobs WHERE n IN (SELECT n FROM (SELECT id AS owner FROM workspaces) CROSS JOIN jobs "
    f"ON workspace_id = owner AND {{which}} AND {_OLDER} {_NEWEST_FIRST}) ORDER BY n DESC"
)
_OF_WORKSPACE = f"SELECT n, {JOB} FROM jobs WHERE workspace_id = :workspace AND {{which}} AND {_OLDER} {_NEWEST_FIRST}"
_ONLY_COMPLETED = "status = 'completed' AND deleted_at IS NULL"
_COMPLETED = f"n >> {spans.BITS} = :span AND status = 'completed'"
_FAILED = "status = 'failed'"
# Said in the words of the index, which is of a part of the jobs.
_GOES_ON = "status = :status AND status IN ('pending', 'running')"
_PAGES = {
    "of the workspace": f"SELECT n, {JOB} FROM jobs WHERE workspace_id = :workspace AND {_OLDER} {_NEWEST_FIRST}",
    "of the workspace, completed": _OF_WORKSPACE.format(which=_COMPLETED),
    "of the workspace, failed": _OF_WORKSPACE.format(which=_FAILED),
    "of the workspace, going on": _OF_WORKSPACE.format(which=_GOES_ON),
    "of all": f"SELECT n, {JOB} FROM jobs WHERE {_OLDER} {_NEWEST_FIRST}",
    "of all, completed": f"SELECT n, {JOB} FROM jobs WHERE {_COMPLETED} AND {_OLDER} {_NEWEST_FIRST}",
    "of all, failed": _OF_ALL.format(which=_FAILED),
    "of all, going on": _OF_ALL.format(which=_GOES_ON),
}
"""The pages of jobs, newest first; of those that are completed, a span's."""
_KINDS = {
    None: "",
    JobStatus.PENDING: ", going on",
    JobStatus.RUNNING: ", going on",
    JobStatus.COMPLETED: ", completed",
    JobStatus.FAILED: ", failed",
}

# What is neither going on nor failed is completed: counting those would mean to read each of them.
_COUNT = """
SELECT status, count(*) FROM jobs WHERE {whose} status IN ('pending', 'running') AND deleted_at IS NULL GROUP BY status
UNION ALL SELECT 'failed', count(*) FROM jobs WHERE {whose} status = 'failed' AND deleted_at IS NULL
UNION ALL SELECT NULL, count(*) FROM jobs INDEXED BY jobs_of_workspace WHERE {whose} deleted_at IS NULL
"""
_COUNTS = {"of the workspace": _COUNT.format(whose="workspace_id = :workspace AND"), "of all": _COUNT.format(whose="")}

_NO_TOKEN = 2**63 - 1
"""Beyond every row."""

_OF_BATCHES = (
    f"SELECT {JOB} FROM jobs WHERE batch IN (SELECT n FROM batches WHERE id IN (SELECT value FROM json_each(?)) "
    "AND workspace_id = ?) ORDER BY batch, item"
)


def check_going_on(connection: apsw.Connection, changes: Sequence[Change], at_most: int) -> None:
    """Refuse what has been recorded if a workspace has more jobs now than may go on at once."""
    for workspace_id, now in {change.job.workspace_id: change.event.created_at for change in changes}.items():
        row: Any = connection.execute(_GOING_ON, (workspace_id, at_most)).fetchone()
        count, next_due = row
        if count > at_most:
            raise BusyError(
                f"at most {at_most} video translations of this workspace may go on at once",
                retry_after=1 if next_due is None else min(max(math.ceil(next_due - now), 1), LONGEST_REFUSAL),
            )


def get(connection: apsw.Connection, workspace_id: str | None, job_id: str) -> Job:
    """One job of the workspace; without one, of whichever."""
    rows = connection.execute(
        f"SELECT {JOB} FROM jobs WHERE id = ?1 AND (?2 IS NULL OR workspace_id = ?2) AND deleted_at IS NULL",
        (job_id, workspace_id),
    )
    for row in rows:
        return from_row(row)
    raise NotFoundError(f"no video translation {job_id}", param="video_translation_id")


def retitle(connection: apsw.Connection, workspace_id: str, job_id: str, title: str, now: float) -> Job:
    """Give a job another title; whoever has read it before loses the race to move it."""
    job = get(connection, workspace_id, job_id)
    request = job.request | {"title": title}
    connection.execute(
        "UPDATE jobs SET request = ?, version = version + 1, updated_at = ? WHERE id = ?",
        (msgspec.json.encode(request).decode(), now, job_id),
    )
    return msgspec.structs.replace(job, request=request, version=job.version + 1, updated_at=now)


def delete(connection: apsw.Connection, workspace_id: str, job_id: str, now: float) -> None:
    """Show a job that has ended no more."""
    if not get(connection, workspace_id, job_id).status.is_terminal:
        raise ConflictError(f"video translation {job_id} has not ended; cancel it first", param="video_translation_id")
    connection.execute("UPDATE jobs SET deleted_at = ?, due_at = NULL WHERE id = ?", (now, job_id))


def get_many(connection: apsw.Connection, workspace_id: str, job_ids: Sequence[str]) -> dict[str, Job]:
    """The jobs of the workspace among these ids, in one query."""
    rows = connection.execute(_MANY, (msgspec.json.encode(job_ids).decode(), workspace_id))
    return {job.id: job for job in map(from_row, rows)}


def page(
    connection: apsw.Connection, workspace_id: str | None, limit: int, token: int | None, wanted: JobFilter
) -> tuple[list[Job], int | None]:
    """A page of jobs, newest first, and the next page's token; without a workspace, of all."""
    of = "of all" if workspace_id is None else "of the workspace"
    before = _NO_TOKEN if token is None else token
    values = {
        "workspace": workspace_id,
        "status": wanted.status,
        "created_after": wanted.created_after,
        "before": before,
        "limit": limit,
    }
    statement = _PAGES[f"{of}{_KINDS[wanted.status]}"]
    rows: list[Any] = (
        spans.newest_first(
            connection, statement, values, of="jobs.n", before=before, most=limit + 1, only=_ONLY_COMPLETED
        )
        if wanted.status is JobStatus.COMPLETED
        else connection.execute(statement, values).fetchall()
    )
    more = len(rows) > limit
    return [from_row(row[1:]) for row in rows[:limit]], rows[limit - 1][0] if more else None


def count(connection: apsw.Connection, workspace_id: str | None) -> dict[JobStatus, int]:
    """How many jobs are in each status; without a workspace, of all."""
    found: Any = (
        connection.execute(_COUNTS["of all"])
        if workspace_id is None
        else connection.execute(_COUNTS["of the workspace"], {"workspace": workspace_id})
    )
    counts = Counter(dict.fromkeys(JobStatus, 0))
    for status, number in found:
        if status is None:
            counts[JobStatus.COMPLETED] = number - counts.total()
        else:
            counts[JobStatus(status)] = number
    return dict(counts)


def batch(
    connection: apsw.Connection, workspace_id: str, batch_id: str, limit: int, token: int | None
) -> tuple[Batch, list[Job], int | None]:
    """A batch, a page of its jobs in their order, deleted ones too, and the next page's token."""
    number, found = batches.find(connection, workspace_id, batch_id)
    rows: list[Any] = connection.execute(
        f"SELECT {JOB} FROM jobs WHERE batch = ?1 AND (?2 IS NULL OR item > ?2) ORDER BY item LIMIT ?3 + 1",
        (number, token, limit),
    ).fetchall()
    items = [from_row(row) for row in rows[:limit]]
    return found, items, items[-1].item_index if len(rows) > limit else None


def of_batches(connection: apsw.Connection, workspace_id: str, batch_ids: Sequence[str]) -> dict[str, list[Job]]:
    """All jobs of the workspace's batches among these ids, each batch's in their order."""
    rows = connection.execute(_OF_BATCHES, (msgspec.json.encode(batch_ids).decode(), workspace_id))
    found: dict[str, list[Job]] = {}
    for job in map(from_row, rows):
        found.setdefault(str(job.batch_id), []).append(job)
    return found


def in_preflight(connection: apsw.Connection, limit: int) -> list[Job]:
    """Jobs whose video has not been looked at, the oldest first."""
    rows = connection.execute(f"SELECT {JOB} FROM jobs WHERE in_preflight = 1 ORDER BY n LIMIT ?", (limit,))
    return [from_row(row) for row in rows]


def next_due(connection: apsw.Connection) -> float | None:
    """When the next job is due."""
    return connection.execute("SELECT min(due_at) FROM jobs WHERE due_at IS NOT NULL").get  # type: ignore[no-any-return]


def from_row(row: Sequence[Any]) -> Job:
    """The job in a row with the columns of `JOB`."""
    return Job(
        id=row[0],
        workspace_id=row[1],
        status=JobStatus(row[2]),
        sequence=row[3],
        version=row[4],
        output_language=row[5],
        request=msgspec.json.decode(row[6]),
        plan=msgspec.json.decode(row[7], type=Plan),
        created_at=row[8],
        updated_at=row[9],
        due_at=row[10],
        progress=row[11],
        files_at=row[12],
        failure_message=row[13],
        cancelled_at=row[14],
        runs=row[15],
        rank=row[16],
        item_index=row[17],
        in_preflight=bool(row[18]),
        batch_id=row[19],
    )
