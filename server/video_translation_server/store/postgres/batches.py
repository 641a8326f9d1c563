"""Batches in PostgreSQL: keeping one, reading it, and telling of its end when the last of its jobs has ended.

Every function takes a connection and runs inside the caller's transaction. The jobs are the business of `jobs`.
"""

from collections.abc import Mapping

import asyncpg

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.ids import Ids
from video_translation_server.model import Batch, JobStatus
from video_translation_server.store.postgres import endpoints, log
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.deliveries import News
from video_translation_server.wire.batches import batch_event

# A batch's row is held first: of two servers that each end one of the last two jobs, the second sees the first's.
_HOLD = "SELECT 1 FROM batches WHERE id = ANY($1::text[]) ORDER BY n FOR NO KEY UPDATE"
_END = """
UPDATE batches b SET finished_at = given.at FROM unnest($1::text[], $2::double precision[]) AS given(id, at)
WHERE b.id = given.id AND b.finished_at IS NULL
  AND NOT EXISTS (SELECT 1 FROM jobs WHERE batch = b.n AND status IN ('pending', 'running'))
RETURNING b.id, b.workspace_id, b.finished_at
"""


async def create(connection: Connection, batch: Batch) -> None:
    """Keep a new batch, and its callback; its jobs follow."""
    try:
        await connection.execute(
            "INSERT INTO batches (id, workspace_id, title, created_at) VALUES ($1, $2, $3, $4)",
            batch.id,
            batch.workspace_id,
            batch.title,
            batch.created_at,
        )
    except asyncpg.UniqueViolationError:
        raise ConflictError(f"a batch with the id {batch.id} exists already", param="id") from None
    if batch.callback is not None:
        await endpoints.create(connection, batch.callback)


async def find(connection: Connection, workspace_id: str, batch_id: str) -> tuple[int, Batch]:
    """A batch of the workspace: its row number and itself."""
    row = await connection.fetchrow(
        "SELECT n, title, created_at FROM batches WHERE id = $1 AND workspace_id = $2", batch_id, workspace_id
    )
    if row is None:
        raise NotFoundError(f"no batch {batch_id}", param="batch_id")
    number, title, created_at = row
    counts = await connection.fetch("SELECT status, count(*) FROM jobs WHERE batch = $1 GROUP BY status", number)
    return number, Batch(
        id=batch_id,
        workspace_id=workspace_id,
        title=title,
        created_at=created_at,
        counts={JobStatus(status): count for status, count in counts},
    )


async def hold(connection: Connection, batch_ids: list[str]) -> None:
    """Hold these batches: nobody else finds out meanwhile whether they have ended."""
    await connection.execute(_HOLD, batch_ids)


async def tell_of_end(connection: Connection, ended: Mapping[str, float], ids: Ids) -> None:
    """Append the event of each batch (held; the last end of one of its jobs), once, if none of its jobs goes on."""
    rows = await connection.fetch(_END, list(ended), list(ended.values()))
    found = {row[0]: row for row in rows}
    news = []
    for batch_id, workspace_id, now in (found[name] for name in ended if name in found):
        _, batch = await find(connection, workspace_id, batch_id)
        news.append(News(batch_event(batch, event_id=ids("evt"), now=now)))
    if news:
        await log.append(connection, news)
