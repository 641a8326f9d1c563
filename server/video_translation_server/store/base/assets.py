"""Verbs of the store: what is known of uploaded files, and the key of the files' URLs.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from collections.abc import Sequence
from typing import Protocol

from video_translation_server.model import Asset
from video_translation_server.store.base.keeping import Keep


class AssetVerbs(Protocol):
    """What is known of uploaded files, and the key of the files' URLs."""

    async def file_key(self, candidate: bytes) -> bytes:
        """The key that signs the URLs of files: `candidate` where there is none yet; from then on always the same."""
        ...

    async def create_asset(self, asset: Asset, *, keep: Keep[None] | None = None) -> None:
        """Keep what is known of an uploaded file.

        Raises:
            ConflictError: One of that id exists.
        """
        ...

    async def asset(self, workspace_id: str, asset_id: str) -> Asset:
        """One asset.

        Raises:
            NotFoundError: There is none of that id in the workspace.
        """
        ...

    async def known_assets(self, asset_ids: Sequence[str]) -> set[str]:
        """Those of these ids that are of an asset of any workspace."""
        ...

    async def old_assets(self, before: float, *, limit: int) -> list[str]:
        """The ids of at most `limit` assets of all workspaces that were created before a time, the oldest first."""
        ...

    async def delete_assets(self, asset_ids: Sequence[str]) -> None:
        """Forget assets, of whichever workspace; what is unknown is passed over."""
        ...
