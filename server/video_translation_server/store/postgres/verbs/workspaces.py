"""Workspaces and keys. In PostgreSQL.

What each verb promises is in `store.base.workspaces`, what it does in SQL in the noun modules.
"""

from video_translation_server.model import Key, Workspace
from video_translation_server.store.postgres import workspaces
from video_translation_server.store.postgres.engine import Engine


class WorkspaceVerbs(Engine):
    """Workspaces and keys."""

    async def create_workspace(self, workspace: Workspace) -> None:
        """Keep a new workspace."""
        await self._write(lambda connection: workspaces.create(connection, workspace))

    async def workspaces(self, *, limit: int, token: int | None = None) -> tuple[list[Workspace], int | None]:
        """A page of workspaces, newest first."""
        return await self._read(lambda connection: workspaces.page(connection, limit, token))

    async def workspace(self, workspace_id: str) -> Workspace:
        """One workspace."""
        return await self._read(lambda connection: workspaces.get(connection, workspace_id))

    async def create_key(self, key: Key, digest: bytes) -> None:
        """Keep a new key."""
        await self._write(lambda connection: workspaces.create_key(connection, key, digest))

    async def keys(self, workspace_id: str, *, limit: int, token: int | None = None) -> tuple[list[Key], int | None]:
        """A page of the workspace's keys, newest first."""
        return await self._read(lambda connection: workspaces.keys(connection, workspace_id, limit, token))

    async def revoke_key(self, key_id: str, *, now: float) -> Key:
        """Mark a key revoked."""
        return await self._write(lambda connection: workspaces.revoke_key(connection, key_id, now))

    async def key_of(self, digest: bytes) -> Key | None:
        """The key of a SHA-256."""
        return await self._read(lambda connection: workspaces.key_of(connection, digest))

    async def has_keys(self) -> bool:
        """True once a key was created."""
        return await self._read(workspaces.has_keys)
