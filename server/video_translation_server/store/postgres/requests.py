"""Requests told apart by a key, in PostgreSQL: one at a time is under way; the answer of the one that did it is kept.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from video_translation_server.errors import InProgressError
from video_translation_server.model import Kept, Mark
from video_translation_server.store.base import ANSWERS_KEPT, Keep
from video_translation_server.store.postgres.database import Connection
from video_translation_server.store.postgres.rows import Rows
from video_translation_server.store.postgres.server import REAL_NOW, Server
from video_translation_server.store.postgres.verb import One

T = TypeVar("T")

_ROW = "workspace_id = $1 AND scope = $2 AND key = $3"

# Takes the row, or leaves it as it is where it has an answer or is under way; the lock on it lasts to the commit.
_TAKE = f"""
INSERT INTO idempotency AS kept (workspace_id, scope, key, created_at, leased_until, mark)
VALUES ($1, $2, $3, $4, {REAL_NOW.format("$7")} + $5, $6)
ON CONFLICT (workspace_id, scope, key) DO UPDATE SET created_at = excluded.created_at, status = NULL, response = NULL,
  leased_until = excluded.leased_until, mark = excluded.mark
WHERE kept.created_at <= $4 - {ANSWERS_KEPT} OR (kept.response IS NULL AND kept.leased_until <= {REAL_NOW.format("$7")})
RETURNING mark
"""
_FIND = f"SELECT status, response FROM idempotency WHERE {_ROW} AND response IS NOT NULL"

_ANSWERS = Rows(
    {"workspace_id": "text", "scope": "text", "key": "text", "mark": "bigint", "status": "integer", "response": "bytea"}
)
_KEEP = f"""
UPDATE idempotency kept SET status = given.status, response = given.response, leased_until = NULL, mark = NULL
FROM {_ANSWERS.table}
WHERE kept.workspace_id = given.workspace_id AND kept.scope = given.scope AND kept.key = given.key
  AND kept.mark = given.mark
RETURNING given.ord
"""
_PRUNE = f"""
DELETE FROM idempotency WHERE (workspace_id, scope, key) IN (
  SELECT workspace_id, scope, key FROM idempotency
  WHERE created_at <= $1 AND coalesce(leased_until, 0) <= {REAL_NOW.format("$3")} ORDER BY created_at LIMIT $2)
"""


@dataclass(frozen=True, slots=True)
class Times:
    """When a request comes, by the server's clock; for how long it holds its key, in real seconds."""

    now: float
    lease: float
    real_now: float | None


async def start(connection: Connection, mark: Mark, times: Times) -> Mark | Kept:
    """The answer that the key has, or the mark: the request is the caller's to carry out."""
    key = (mark.workspace_id, mark.scope, mark.key)
    taken = await connection.fetchval(_TAKE, *key, times.now, times.lease, mark.number, times.real_now)
    if taken is not None:
        return mark
    row = await connection.fetchrow(_FIND, *key)
    if row is None:
        raise _in_progress(mark)
    return Kept(status=row[0], body=row[1])


def keeping(wish: One[T], keep: Keep[T] | None) -> One[T]:
    """The wish, and in its transaction the answer to the request that asked for it."""
    if keep is None:
        return wish

    async def both(connection: Connection) -> T:
        value = await wish(connection)
        await keep_answers(connection, [(keep, value)])
        return value

    return both


async def keep_answers(connection: Connection, done: Sequence[tuple[Keep[T], T]]) -> None:
    """Keep the answers to requests whose verbs have returned these values.

    Raises:
        InProgressError: A mark is no longer the key's: what was done under it is to be taken back.
    """
    answers = [(keep.mark, answer) for keep, value in done if (answer := keep.answer(value)) is not None]
    if not answers:
        return
    rows = [
        (mark.workspace_id, mark.scope, mark.key, mark.number, answer.status, answer.body) for mark, answer in answers
    ]
    kept = {row[0] for row in await connection.fetch(_KEEP, *_ANSWERS.of(rows))}
    for number, (mark, _) in enumerate(answers, start=1):
        if number not in kept:
            raise _in_progress(mark)


async def drop(connection: Connection, mark: Mark) -> None:
    """Free the key of a request that ends without an answer to keep."""
    await connection.execute(
        f"DELETE FROM idempotency WHERE {_ROW} AND mark = $4", mark.workspace_id, mark.scope, mark.key, mark.number
    )


async def drop_all(connection: Connection, server: Server) -> None:
    """Free every key that a request to this server has in use."""
    await connection.execute("DELETE FROM idempotency WHERE mark BETWEEN $1 AND $2", *server.fences)


async def prune(connection: Connection, now: float, real_now: float | None, limit: int) -> int:
    """Delete answers that are kept no longer, and marks that were left behind; how many."""
    done: str = await connection.execute(_PRUNE, now - ANSWERS_KEPT, limit, real_now)
    return int(done.rsplit(maxsplit=1)[-1])


def _in_progress(mark: Mark) -> InProgressError:
    return InProgressError(f"a request with the Idempotency-Key {mark.key} is under way; ask again for its answer")
