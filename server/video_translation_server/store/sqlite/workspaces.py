"""Workspaces and their keys in SQLite. A key is kept as its SHA-256; a revoked one stays, marked.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Any

import apsw
from msgspec.structs import replace

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Key, Workspace

KEY = "id, workspace_id, label, created_at, revoked_at"


def create(connection: apsw.Connection, workspace: Workspace) -> None:
    """Keep a new workspace."""
    try:
        connection.execute(
            "INSERT INTO workspaces (id, name, created_at) VALUES (?, ?, ?)",
            (workspace.id, workspace.name, workspace.created_at),
        )
    except apsw.ConstraintError:
        raise ConflictError(f"a workspace with the id {workspace.id} exists already", param="id") from None


def page(connection: apsw.Connection, limit: int, token: int | None) -> tuple[list[Workspace], int | None]:
    """A page of workspaces, newest first, and the next page's token."""
    rows: list[Any] = connection.execute(
        "SELECT n, id, name, created_at FROM workspaces WHERE ?1 IS NULL OR n < ?1 ORDER BY n DESC LIMIT ?2 + 1",
        (token, limit),
    ).fetchall()
    more = len(rows) > limit
    found = [Workspace(id=row[1], name=row[2], created_at=row[3]) for row in rows[:limit]]
    return found, rows[limit - 1][0] if more else None


def get(connection: apsw.Connection, workspace_id: str) -> Workspace:
    """One workspace."""
    rows = connection.execute("SELECT id, name, created_at FROM workspaces WHERE id = ?", (workspace_id,))
    for row in rows:
        return Workspace(id=row[0], name=row[1], created_at=row[2])
    raise NotFoundError(f"no workspace {workspace_id[:80]}", param="workspace_id")


def create_key(connection: apsw.Connection, key: Key, digest: bytes) -> None:
    """Keep a new key of an existing workspace."""
    get(connection, key.workspace_id)
    try:
        connection.execute(
            f"INSERT INTO keys (hash, {KEY}) VALUES (?, ?, ?, ?, ?, ?)",
            (digest, key.id, key.workspace_id, key.label, key.created_at, key.revoked_at),
        )
    except apsw.ConstraintError:
        raise ConflictError(f"a key with the id {key.id}, or the same key, exists already", param="id") from None


def keys(connection: apsw.Connection, workspace_id: str, limit: int, token: int | None) -> tuple[list[Key], int | None]:
    """A page of the workspace's keys, newest first, and the next page's token."""
    get(connection, workspace_id)
    rows: list[Any] = connection.execute(
        f"SELECT n, {KEY} FROM keys WHERE workspace_id = ? AND (?2 IS NULL OR n < ?2) ORDER BY n DESC LIMIT ?3 + 1",
        (workspace_id, token, limit),
    ).fetchall()
    more = len(rows) > limit
    return [_key(row[1:]) for row in rows[:limit]], rows[limit - 1][0] if more else None


def revoke_key(connection: apsw.Connection, key_id: str, now: float) -> Key:
    """Mark a key revoked; one that is already keeps its time."""
    for row in connection.execute(f"SELECT {KEY} FROM keys WHERE id = ?", (key_id,)).fetchall():
        key = _key(row)
        if key.revoked_at is None:
            key = replace(key, revoked_at=now)
            connection.execute("UPDATE keys SET revoked_at = ? WHERE id = ?", (now, key_id))
        return key
    raise NotFoundError(f"no key {key_id[:80]}", param="key_id")


def key_of(connection: apsw.Connection, digest: bytes) -> Key | None:
    """The key of a SHA-256, revoked or not."""
    rows = connection.execute(f"SELECT {KEY} FROM keys WHERE hash = ?", (digest,)).fetchall()
    return _key(rows[0]) if rows else None


def has_keys(connection: apsw.Connection) -> bool:
    """True once a key was ever created."""
    return bool(connection.execute("SELECT EXISTS (SELECT 1 FROM keys)").get)


def _key(row: Sequence[Any]) -> Key:
    return Key(id=row[0], workspace_id=row[1], label=row[2], created_at=row[3], revoked_at=row[4])
