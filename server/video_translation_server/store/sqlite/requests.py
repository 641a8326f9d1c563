"""Requests told apart by a key, in SQLite: one at a time is under way, and the answer of the one that did it is kept.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw

from video_translation_server.errors import InProgressError
from video_translation_server.model import Kept, Mark
from video_translation_server.store.base import ANSWERS_KEPT, Keep

T = TypeVar("T")

_FIND = (
    "SELECT status, response, leased_until FROM idempotency "
    "WHERE workspace_id = ? AND scope = ? AND key = ? AND created_at > ?"
)
_PRUNE = """
DELETE FROM idempotency WHERE (workspace_id, scope, key) IN (
  SELECT workspace_id, scope, key FROM idempotency
  WHERE created_at <= ? AND coalesce(leased_until, 0) <= ? ORDER BY created_at LIMIT ?)
"""


@dataclass(frozen=True, slots=True)
class Times:
    """When a request comes: `now` by the server's clock, the rest in real time."""

    now: float
    real_now: float
    leased_until: float


def start(connection: apsw.Connection, mark: Mark, times: Times) -> Mark | Kept:
    """The answer that the key has, or the mark: the request is the caller's to carry out."""
    rows: list[Any] = connection.execute(
        _FIND, (mark.workspace_id, mark.scope, mark.key, times.now - ANSWERS_KEPT)
    ).fetchall()
    for status, response, leased_until in rows:
        if response is not None:
            return Kept(status=status, body=response)
        if leased_until > times.real_now:
            raise _in_progress(mark)
    connection.execute(
        "INSERT OR REPLACE INTO idempotency (workspace_id, scope, key, created_at, leased_until, mark) "
        "VALUES (?, ?, ?, ?, ?, ?)",
        (mark.workspace_id, mark.scope, mark.key, times.now, times.leased_until, mark.number),
    )
    return mark


def keeping(verb: Callable[[apsw.Connection], T], keep: Keep[T] | None) -> Callable[[apsw.Connection], T]:
    """The verb, and in its transaction the answer to the request that asked for it."""
    if keep is None:
        return verb

    def both(connection: apsw.Connection) -> T:
        value = verb(connection)
        answer = keep.answer(value)
        if answer is not None:
            _keep(connection, keep.mark, answer)
        return value

    return both


def _keep(connection: apsw.Connection, mark: Mark, answer: Kept) -> None:
    connection.execute(
        "UPDATE idempotency SET status = ?, response = ?, leased_until = NULL, mark = NULL "
        "WHERE workspace_id = ? AND scope = ? AND key = ? AND mark = ?",
        (answer.status, answer.body, mark.workspace_id, mark.scope, mark.key, mark.number),
    )
    if connection.changes() == 0:
        # Another request has the key by now: what this one has done is taken back with its transaction.
        raise _in_progress(mark)


def drop(connection: apsw.Connection, mark: Mark) -> None:
    """Free the key of a request that ends without an answer to keep."""
    connection.execute(
        "DELETE FROM idempotency WHERE workspace_id = ? AND scope = ? AND key = ? AND mark = ?",
        (mark.workspace_id, mark.scope, mark.key, mark.number),
    )


def drop_all(connection: apsw.Connection) -> None:
    """Free every key that is in use."""
    connection.execute("DELETE FROM idempotency WHERE mark IS NOT NULL")


def prune(connection: apsw.Connection, now: float, real_now: float, limit: int) -> int:
    """Delete answers that are kept no longer, and marks that were left behind; how many."""
    connection.execute(_PRUNE, (now - ANSWERS_KEPT, real_now, limit))
    return connection.changes()


def _in_progress(mark: Mark) -> InProgressError:
    return InProgressError(f"a request with the Idempotency-Key {mark.key} is under way; ask again for its answer")
