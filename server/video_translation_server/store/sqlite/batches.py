"""Batches in SQLite: keeping one, reading it, and telling of its end when the last of its jobs has ended.

Every function takes a connection and runs inside the caller's transaction. The jobs are the business of `jobs`.
"""

from typing import Any

import apsw

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.ids import Ids
from video_translation_server.model import Batch, JobStatus
from video_translation_server.store.sqlite import endpoints, log
from video_translation_server.wire.batches import batch_event

_GOES_ON = (
    "SELECT EXISTS (SELECT 1 FROM jobs WHERE batch = (SELECT n FROM batches WHERE id = ?) "
    "AND status IN ('pending', 'running'))"
)


def create(connection: apsw.Connection, batch: Batch) -> None:
    """Keep a new batch, and its callback; its jobs follow."""
    try:
        connection.execute(
            "INSERT INTO batches (id, workspace_id, title, created_at) VALUES (?, ?, ?, ?)",
            (batch.id, batch.workspace_id, batch.title, batch.created_at),
        )
    except apsw.ConstraintError:
        raise ConflictError(f"a batch with the id {batch.id} exists already", param="id") from None
    if batch.callback is not None:
        endpoints.create(connection, batch.callback)


def find(connection: apsw.Connection, workspace_id: str, batch_id: str) -> tuple[int, Batch]:
    """A batch of the workspace: its row number and itself."""
    row: Any = connection.execute(
        "SELECT n, title, created_at FROM batches WHERE id = ? AND workspace_id = ?", (batch_id, workspace_id)
    ).fetchone()
    if row is None:
        raise NotFoundError(f"no batch {batch_id}", param="batch_id")
    number, title, created_at = row
    counts = connection.execute("SELECT status, count(*) FROM jobs WHERE batch = ? GROUP BY status", (number,))
    return number, Batch(
        id=batch_id,
        workspace_id=workspace_id,
        title=title,
        created_at=created_at,
        counts={JobStatus(status): count for status, count in counts},
    )


def tell_of_end(connection: apsw.Connection, workspace_id: str, batch_id: str, ids: Ids, *, now: float) -> None:
    """Append the batch's event, once, if none of its jobs goes on."""
    # The jobs are counted at the end only: to count all of them at every end would make a large batch slow.
    if connection.execute(_GOES_ON, (batch_id,)).get:
        return
    connection.execute("UPDATE batches SET finished_at = ? WHERE id = ? AND finished_at IS NULL", (now, batch_id))
    if connection.changes():
        _, batch = find(connection, workspace_id, batch_id)
        log.append(connection, batch_event(batch, event_id=ids("evt"), now=now))
