"""Whose things are whose: workspaces, and the keys that open them.

No key is kept here, only what is known of it; `store` has its digest.
"""

import msgspec

DEFAULT_WORKSPACE = "ws_default"


class Workspace(msgspec.Struct, frozen=True, kw_only=True):
    """A room of its own: nothing in one is seen from another."""

    id: str
    name: str
    created_at: float


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a key: everything but the key.

    Attributes:
        label: What its owner calls it.
        revoked_at: When it stopped to open its workspace; None while it does.
    """

    id: str
    workspace_id: str
    label: str | None
    created_at: float
    revoked_at: float | None = None
