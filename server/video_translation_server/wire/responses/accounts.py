"""Who uses the server, in the API's answers: workspaces, their keys, and the user behind a key.

Uploaded files are in `assets`.
"""

from typing import Literal

from pydantic import BaseModel


class Wallet(BaseModel):
    """Money that is not there: a simulated one never runs out."""

    currency: Literal["usd"]
    remaining_balance: float
    auto_reload: None


class User(BaseModel):
    """Who a key belongs to: here, its workspace."""

    username: str
    email: str
    first_name: str
    last_name: str
    billing_type: Literal["wallet"]
    wallet: Wallet


class WorkspaceAnswer(BaseModel):
    """A workspace."""

    workspace_id: str
    name: str
    created_at: str


class KeyAnswer(BaseModel):
    """A key of a workspace, without the key itself."""

    key_id: str
    workspace_id: str
    label: str | None
    created_at: str
    revoked_at: str | None


class NewKey(KeyAnswer):
    """A new key, shown this once."""

    key: str
