"""`/v3/admin`: workspaces and their keys, for whoever runs the server; `overview` has what goes on in all of them.

Who that is says `auth.Admin`; what a key opens is `auth`'s business too.
"""

import hashlib
from typing import Any

from fastapi import APIRouter, Response

from video_translation_server.api.answers import Limit, Token, answer, decode_token, encode_token, page
from video_translation_server.api.auth import Admin
from video_translation_server.api.context import Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.lenience import LenientRoute
from video_translation_server.model import Key, Workspace
from video_translation_server.wire.events import iso_time, maybe_iso_time
from video_translation_server.wire.requests import KeyRequest, WorkspaceRequest
from video_translation_server.wire.responses import Answer, KeyAnswer, NewKey, Page, WorkspaceAnswer, WorkspaceWithJobs

router = APIRouter(
    prefix="/v3/admin", tags=["admin"], dependencies=[Admin], route_class=LenientRoute, responses=RESPONSES
)


@router.post("/workspaces", response_model=Answer[WorkspaceAnswer])
async def create_workspace(request: WorkspaceRequest, context: Surroundings) -> Response:
    """A new workspace; nothing of another one is seen in it."""
    workspace = Workspace(id=request.id or context.ids("ws"), name=request.name, created_at=context.clock.now())
    await context.store.create_workspace(workspace)
    return answer(_workspace(workspace))


@router.get("/workspaces", response_model=Page[WorkspaceAnswer])
async def workspaces(context: Surroundings, limit: Limit = 10, token: Token = None) -> Response:
    """Every workspace, newest first."""
    found, place = await context.store.workspaces(limit=limit, token=decode_token("workspaces", token))
    return page([_workspace(workspace) for workspace in found], encode_token("workspaces", place))


@router.get("/workspaces/{workspace_id}", response_model=Answer[WorkspaceWithJobs])
async def workspace(workspace_id: str, context: Surroundings) -> Response:
    """One workspace, and how many of its jobs are in each status."""
    found = await context.store.workspace(workspace_id)
    return answer(_workspace(found) | {"jobs": await context.store.count_jobs(workspace_id)})


@router.post("/workspaces/{workspace_id}/keys", response_model=Answer[NewKey])
async def create_key(workspace_id: str, context: Surroundings, request: KeyRequest | None = None) -> Response:
    """A new key of the workspace; it is shown in this answer only."""
    secret = context.new_key()
    key = Key(
        id=context.ids("key"),
        workspace_id=workspace_id,
        label=request.label if request else None,
        created_at=context.clock.now(),
    )
    await context.store.create_key(key, hashlib.sha256(secret.encode()).digest())
    return answer(_key(key) | {"key": secret})


@router.get("/workspaces/{workspace_id}/keys", response_model=Page[KeyAnswer])
async def keys(workspace_id: str, context: Surroundings, limit: Limit = 10, token: Token = None) -> Response:
    """The workspace's keys without the keys themselves, newest first, revoked ones too."""
    found, place = await context.store.keys(workspace_id, limit=limit, token=decode_token("keys", token))
    return page([_key(key) for key in found], encode_token("keys", place))


@router.delete("/keys/{key_id}", response_model=Answer[KeyAnswer])
async def revoke_key(key_id: str, context: Surroundings) -> Response:
    """Revoke a key, at once and for ever; its event streams end."""
    key = await context.store.revoke_key(key_id, now=context.clock.now())
    context.tail.end_streams_of(key.id)
    return answer(_key(key))


def _workspace(workspace: Workspace) -> dict[str, Any]:
    return {
        "workspace_id": workspace.id,
        "name": workspace.name,
        "created_at": iso_time(workspace.created_at),
    }


def _key(key: Key) -> dict[str, Any]:
    return {
        "key_id": key.id,
        "workspace_id": key.workspace_id,
        "label": key.label,
        "created_at": iso_time(key.created_at),
        "revoked_at": maybe_iso_time(key.revoked_at),
    }
