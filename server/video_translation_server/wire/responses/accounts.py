"""Who uses the server, in the API's answers: workspaces with their jobs' counts, keys, and the user behind a key.

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


class JobCounts(BaseModel):
    """How many jobs are in each status."""

    pending: int
    running: int
    completed: int
    failed: int


class WorkspaceWithJobs(WorkspaceAnswer):
    """A workspace, and how its jobs stand."""

    jobs: JobCounts


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
