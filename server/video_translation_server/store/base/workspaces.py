"""Verbs of the store: workspaces and keys.

Promises for all verbs are in the package's own words; `store.sqlite` keeps them.
"""

from typing import Protocol

from video_translation_server.model import Key, Workspace


class WorkspaceVerbs(Protocol):
    """Workspaces and keys."""

    async def create_workspace(self, workspace: Workspace) -> None:
        """Keep a new workspace.

        Raises:
            ConflictError: One of that id exists.
        """
        ...

    async def workspaces(self, *, limit: int, token: int | None = None) -> tuple[list[Workspace], int | None]:
        """A page of workspaces, newest first, and the token of the next page (None: the last)."""
        ...

    async def workspace(self, workspace_id: str) -> Workspace:
        """One workspace.

        Raises:
            NotFoundError: There is none of that id.
        """
        ...

    async def create_key(self, key: Key, digest: bytes) -> None:
        """Keep a new key by its SHA-256.

        Raises:
            NotFoundError: There is no such workspace.
            ConflictError: A key of that id, or of that digest, exists.
        """
        ...

    async def keys(self, workspace_id: str, *, limit: int, token: int | None = None) -> tuple[list[Key], int | None]:
        """A page of the workspace's keys, newest first, revoked ones too, and the token of the next page.

        Raises:
            NotFoundError: There is no such workspace.
        """
        ...

    async def revoke_key(self, key_id: str, *, now: float) -> Key:
        """Mark a key revoked; one that is already keeps its time.

        Raises:
            NotFoundError: There is no key of that id.
        """
        ...

    async def key_of(self, digest: bytes) -> Key | None:
        """The key of that SHA-256, revoked or not; None where there never was one."""
        ...

    async def has_keys(self) -> bool:
        """True once a key was created, also after it was revoked."""
        ...
