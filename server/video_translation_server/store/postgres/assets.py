"""Assets in PostgreSQL: what is known of uploaded files, and the key of files' URLs; the files lie on the `shelf`.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Sequence

import asyncpg

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Asset
from video_translation_server.store.postgres.database import Connection, storable


async def create(connection: Connection, asset: Asset) -> None:
    """Keep what is known of a file."""
    try:
        await connection.execute(
            "INSERT INTO assets (id, workspace_id, media_type, size, created_at, seconds) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            asset.id,
            asset.workspace_id,
            asset.media_type,
            asset.size,
            asset.created_at,
            asset.seconds,
        )
    except asyncpg.UniqueViolationError:
        raise ConflictError(f"an asset with the id {asset.id} exists already", param="id") from None


async def get(connection: Connection, workspace_id: str, asset_id: str) -> Asset:
    """One asset of the workspace."""
    row = await connection.fetchrow(
        "SELECT media_type, size, created_at, seconds FROM assets WHERE id = $1 AND workspace_id = $2",
        asset_id,
        workspace_id,
    )
    if row is None:
        raise NotFoundError(f"no asset {asset_id[:80]!r}", param="asset_id")
    return Asset(
        id=asset_id, workspace_id=workspace_id, media_type=row[0], size=row[1], created_at=row[2], seconds=row[3]
    )


async def known(connection: Connection, asset_ids: Sequence[str]) -> set[str]:
    """Those of the ids that are of an asset."""
    rows = await connection.fetch("SELECT id FROM assets WHERE id = ANY($1::text[])", storable(asset_ids))
    return {row[0] for row in rows}


async def key(connection: Connection) -> bytes | None:
    """The key of the files' URLs, where there is one."""
    found: bytes | None = await connection.fetchval("SELECT key FROM file_key")
    return found


async def make_key(connection: Connection, candidate: bytes) -> bytes:
    """The key of the files' URLs, made of `candidate` where there is none."""
    made: bytes = await connection.fetchval(
        "INSERT INTO file_key (n, key) VALUES (1, $1) ON CONFLICT (n) DO UPDATE SET key = file_key.key RETURNING key",
        candidate,
    )
    return made


async def old(connection: Connection, before: float, limit: int) -> list[str]:
    """The ids of the oldest assets from before a time."""
    rows = await connection.fetch(
        "SELECT id FROM assets WHERE created_at < $1 ORDER BY created_at LIMIT $2", before, limit
    )
    return [row[0] for row in rows]


async def delete(connection: Connection, asset_ids: Sequence[str]) -> None:
    """Forget assets, of whichever workspace."""
    await connection.execute("DELETE FROM assets WHERE id = ANY($1::text[])", asset_ids)
