"""What is known of uploaded files, and the key of the files' URLs. In PostgreSQL.

What each verb promises is in `store.base.assets`, what it does in SQL in the noun modules.
"""

from collections.abc import Sequence

from video_translation_server.model import Asset
from video_translation_server.store.base import Keep
from video_translation_server.store.postgres import assets
from video_translation_server.store.postgres.engine import Engine


class AssetVerbs(Engine):
    """What is known of uploaded files, and the key of the files' URLs."""

    async def file_key(self, candidate: bytes) -> bytes:
        """The key that is kept, or `candidate`, kept from now on."""
        found = await self._read(assets.key)
        if found is not None:
            return found
        return await self._write(lambda connection: assets.make_key(connection, candidate))

    async def create_asset(self, asset: Asset, *, keep: Keep[None] | None = None) -> None:
        """Keep what is known of an uploaded file."""
        await self._write(lambda connection: assets.create(connection, asset), keep=keep)

    async def asset(self, workspace_id: str, asset_id: str) -> Asset:
        """One asset."""
        return await self._read(lambda connection: assets.get(connection, workspace_id, asset_id))

    async def known_assets(self, asset_ids: Sequence[str]) -> set[str]:
        """Those that are known."""
        return await self._read(lambda connection: assets.known(connection, asset_ids))

    async def old_assets(self, before: float, *, limit: int) -> list[str]:
        """The oldest assets from before a time."""
        return await self._read(lambda connection: assets.old(connection, before, limit))

    async def delete_assets(self, asset_ids: Sequence[str]) -> None:
        """Forget assets."""
        await self._write(lambda connection: assets.delete(connection, asset_ids))
