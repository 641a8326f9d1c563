"""Jobs in PostgreSQL as readers see them, and what their owners change of them: titles, deletion.

Every function takes a connection and runs inside the caller's transaction. Their moves are in `jobs`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Batch, Job, JobStatus, Plan
from video_translation_server.store.base import JobFilter
from video_translation_server.store.postgres import batches
from video_translation_server.store.postgres.database import Connection, storable

JOB = (
    "j.id, j.workspace_id, j.status, j.sequence, j.version, j.output_language, j.request, j.plan, j.created_at, "
    "j.updated_at, j.due_at, j.progress, j.files_at, j.failure_message, j.cancelled_at, j.runs, j.rank, j.item, "
    "j.in_preflight, (SELECT id FROM batches WHERE n = j.batch)"
)


async def get(connection: Connection, workspace_id: str | None, job_id: str, *, lock: bool = False) -> Job:
    """One job of the workspace; without one, of whichever. With `lock`, nobody moves it before the commit."""
    row = await connection.fetchrow(
        f"SELECT {JOB} FROM jobs j WHERE id = $1 AND ($2::text IS NULL OR workspace_id = $2) AND deleted_at IS NULL"
        f"{' FOR NO KEY UPDATE' if lock else ''}",
        job_id,
        workspace_id,
    )
    if row is None:
        raise NotFoundError(f"no video translation {job_id}", param="video_translation_id")
    return from_row(row)


async def retitle(connection: Connection, workspace_id: str, job_id: str, title: str, now: float) -> Job:
    """Give a job another title; whoever has read it before loses the race to move it."""
    job = await get(connection, workspace_id, job_id, lock=True)
    request = job.request | {"title": title}
    await connection.execute(
        "UPDATE jobs SET request = $1, version = version + 1, updated_at = $2 WHERE id = $3",
        msgspec.json.encode(request).decode(),
        now,
        job_id,
    )
    return msgspec.structs.replace(job, request=request, version=job.version + 1, updated_at=now)


async def delete(connection: Connection, workspace_id: str, job_id: str, now: float) -> None:
    """Show a job that has ended no more."""
    job = await get(connection, workspace_id, job_id, lock=True)
    if not job.status.is_terminal:
        raise ConflictError(f"video translation {job_id} has not ended; cancel it first", param="video_translation_id")
    await connection.execute("UPDATE jobs SET deleted_at = $1, due_at = NULL WHERE id = $2", now, job_id)


async def get_many(connection: Connection, workspace_id: str, job_ids: Sequence[str]) -> dict[str, Job]:
    """The jobs of the workspace among these ids, in one query."""
    rows = await connection.fetch(
        f"SELECT {JOB} FROM jobs j WHERE id = ANY($1::text[]) AND workspace_id = $2 AND deleted_at IS NULL",
        storable(job_ids),
        workspace_id,
    )
    return {job.id: job for job in map(from_row, rows)}


async def page(
    connection: Connection, workspace_id: str | None, limit: int, token: int | None, wanted: JobFilter
) -> tuple[list[Job], int | None]:
    """A page of jobs, newest first, and the next page's token; without a workspace, of all."""
    narrowing = {
        "workspace_id =": workspace_id,
        "n <": token,
        "status =": wanted.status,
        "created_at >": wanted.created_after,
    }
    given = [(condition, value) for condition, value in narrowing.items() if value is not None]
    conditions = [f"{condition} ${number}" for number, (condition, _) in enumerate(given, start=2)]
    rows = await connection.fetch(
        f"SELECT {JOB}, n FROM jobs j WHERE {' AND '.join(['deleted_at IS NULL', *conditions])} "
        "ORDER BY n DESC LIMIT $1::bigint + 1",
        limit,
        *(value for _, value in given),
    )
    more = len(rows) > limit
    return [from_row(row) for row in rows[:limit]], rows[limit - 1][-1] if more else None


async def count(connection: Connection, workspace_id: str | None) -> dict[JobStatus, int]:
    """How many jobs are in each status; without a workspace, of all."""
    rows = await connection.fetch(
        "SELECT status, count(*) FROM jobs WHERE deleted_at IS NULL AND ($1::text IS NULL OR workspace_id = $1) "
        "GROUP BY status",
        workspace_id,
    )
    return dict.fromkeys(JobStatus, 0) | {JobStatus(status): number for status, number in rows}


async def batch(
    connection: Connection, workspace_id: str, batch_id: str, limit: int, token: int | None
) -> tuple[Batch, list[Job], int | None]:
    """A batch, a page of its jobs in their order, deleted ones too, and the next page's token."""
    number, found = await batches.find(connection, workspace_id, batch_id)
    rows = await connection.fetch(
        f"SELECT {JOB} FROM jobs j WHERE batch = $1 AND ($2::integer IS NULL OR item > $2) "
        "ORDER BY item LIMIT $3::bigint + 1",
        number,
        token,
        limit,
    )
    items = [from_row(row) for row in rows[:limit]]
    return found, items, items[-1].item_index if len(rows) > limit else None


async def of_batches(connection: Connection, workspace_id: str, batch_ids: Sequence[str]) -> dict[str, list[Job]]:
    """All jobs of the workspace's batches among these ids, each batch's in their order."""
    rows = await connection.fetch(
        f"SELECT {JOB} FROM jobs j WHERE batch IN (SELECT n FROM batches WHERE id = ANY($1::text[]) "
        "AND workspace_id = $2) ORDER BY batch, item",
        storable(batch_ids),
        workspace_id,
    )
    found: dict[str, list[Job]] = {}
    for job in map(from_row, rows):
        found.setdefault(str(job.batch_id), []).append(job)
    return found


async def next_due(connection: Connection) -> float | None:
    """When the next job is due."""
    due_at: float | None = await connection.fetchval("SELECT min(due_at) FROM jobs WHERE due_at IS NOT NULL")
    return due_at


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
        in_preflight=row[18],
        batch_id=row[19],
    )
