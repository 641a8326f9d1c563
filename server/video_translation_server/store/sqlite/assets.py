"""Assets in SQLite: what is known of uploaded files, and the key of files' URLs; the files lie on the `shelf`.

Every function takes a connection and runs inside the caller's transaction.
"""

from collections.abc import Sequence

import apsw
import msgspec

from video_translation_server.errors import ConflictError, NotFoundError
from video_translation_server.model import Asset


def create(connection: apsw.Connection, asset: Asset) -> None:
    """Keep what is known of a file."""
    try:
        connection.execute(
            "INSERT INTO assets (id, workspace_id, media_type, size, created_at, seconds) VALUES (?, ?, ?, ?, ?, ?)",
            (asset.id, asset.workspace_id, asset.media_type, asset.size, asset.created_at, asset.seconds),
        )
    except apsw.ConstraintError:
        raise ConflictError(f"an asset with the id {asset.id} exists already", param="id") from None


def get(connection: apsw.Connection, workspace_id: str, asset_id: str) -> Asset:
    """One asset of the workspace."""
    rows = connection.execute(
        "SELECT media_type, size, created_at, seconds FROM assets WHERE id = ? AND workspace_id = ?",
        (asset_id, workspace_id),
    )
    for media_type, size, created_at, seconds in rows:
        return Asset(
            id=asset_id,
            workspace_id=workspace_id,
            media_type=media_type,
            size=size,
            created_at=created_at,
            seconds=seconds,
        )
    raise NotFoundError(f"no asset {asset_id[:80]!r}", param="asset_id")


def known(connection: apsw.Connection, asset_ids: Sequence[str]) -> set[str]:
    """Those of the ids that are of an asset."""
    ids = msgspec.json.encode(asset_ids).decode()
    rows = connection.execute("SELECT id FROM assets WHERE id IN (SELECT value FROM json_each(?))", (ids,))
    return {asset_id for (asset_id,) in rows}


def key(connection: apsw.Connection, candidate: bytes) -> bytes:
    """The key of the files' URLs, made of `candidate` where there is none."""
    connection.execute("INSERT OR IGNORE INTO file_key (n, key) VALUES (1, ?)", (candidate,))
    return bytes(connection.execute("SELECT key FROM file_key").get)


def old(connection: apsw.Connection, before: float, limit: int) -> list[str]:
    """The ids of the oldest assets from before a time."""
    rows = connection.execute("SELECT id FROM assets WHERE created_at < ? ORDER BY created_at LIMIT ?", (before, limit))
    return [asset_id for (asset_id,) in rows]


def delete(connection: apsw.Connection, asset_ids: Sequence[str]) -> None:
    """Forget assets, of whichever workspace."""
    ids = msgspec.json.encode(asset_ids).decode()
    connection.execute("DELETE FROM assets WHERE id IN (SELECT value FROM json_each(?))", (ids,))
