"""Workspaces and their keys in PostgreSQL. A key is kept as its SHA-256; a revoked one stays, marked.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Key, Workspace
from video_translation_server.store.postgres.database import Connection

KEY = "id, workspace_id, label, created_at, revoked_at"


async def create(connection: Connection, workspace: Workspace) -> None:
    """Keep a new workspace."""
    try:
        await connection.execute(
            "INSERT INTO workspaces (id, name, created_at) VALUES ($1, $2, $3)",
            workspace.id,
            workspace.name,
            workspace.created_at,
        )
    except asyncpg.UniqueViolationError:
        raise ConflictError(f"a workspace with the id {workspace.id} exists already", param="id") from None


async def page(connection: Connection, limit: int, token: int | None) -> tuple[list[Workspace], int | None]:
    """A page of workspaces, newest first, and the next page's token."""
    rows = await connection.fetch(
        "SELECT n, id, name, created_at FROM workspaces WHERE $1::bigint IS NULL OR n < $1 ORDER BY n DESC "
        "LIMIT $2::bigint + 1",
        token,
        limit,
    )
    more = len(rows) > limit
    found = [Workspace(id=row[1], name=row[2], created_at=row[3]) for row in rows[:limit]]
    return found, rows[limit - 1][0] if more else None


async def get(connection: Connection, workspace_id: str) -> Workspace:
    """One workspace."""
    row = await connection.fetchrow("SELECT id, name, created_at FROM workspaces WHERE id = $1", workspace_id)
    if row is None:
        raise NotFoundError(f"no workspace {workspace_id[:80]}", param="workspace_id")
    return Workspace(id=row[0], name=row[1], created_at=row[2])


async def create_key(connection: Connection, key: Key, digest: bytes) -> None:
    """Keep a new key of an existing workspace."""
    await get(connection, key.workspace_id)
    try:
        await connection.execute(
            f"INSERT INTO keys (hash, {KEY}) VALUES ($1, $2, $3, $4, $5, $6)",
            digest,
            key.id,
            key.workspace_id,
            key.label,
            key.created_at,
            key.revoked_at,
        )
    except asyncpg.UniqueViolationError:
        raise ConflictError(f"a key with the id {key.id}, or the same key, exists already", param="id") from None


async def keys(
    connection: Connection, workspace_id: str, limit: int, token: int | None
) -> tuple[list[Key], int | None]:
    """A page of the workspace's keys, newest first, and the next page's token."""
    await get(connection, workspace_id)
    rows = await connection.fetch(
        f"SELECT n, {KEY} FROM keys WHERE workspace_id = $1 AND ($2::bigint IS NULL OR n < $2) ORDER BY n DESC "
        "LIMIT $3::bigint + 1",
        workspace_id,
        token,
        limit,
    )
    more = len(rows) > limit
    return [_key(row[1:]) for row in map(tuple, rows[:limit])], rows[limit - 1][0] if more else None


async def revoke_key(connection: Connection, key_id: str, now: float) -> Key:
    """Mark a key revoked; one that is already keeps its time."""
    row = await connection.fetchrow(
        f"UPDATE keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING {KEY}", key_id, now
    )
    if row is None:
        raise NotFoundError(f"no key {key_id[:80]}", param="key_id")
    return _key(row)


async def key_of(connection: Connection, digest: bytes) -> Key | None:
    """The key of a SHA-256, revoked or not."""
    row = await connection.fetchrow(f"SELECT {KEY} FROM keys WHERE hash = $1", digest)
    return None if row is None else _key(row)


async def has_keys(connection: Connection) -> bool:
    """True once a key was ever created."""
    found: bool = await connection.fetchval("SELECT EXISTS (SELECT 1 FROM keys)")
    return found


def _key(row: Sequence[Any]) -> Key:
    return Key(id=row[0], workspace_id=row[1], label=row[2], created_at=row[3], revoked_at=row[4])
