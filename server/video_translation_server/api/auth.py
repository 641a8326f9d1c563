"""Who is asking: from a request's key to its workspace, and whether it may administer (decision 0014).

Whoever may administer acts in any workspace, by naming it (decision 0027).
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from video_translation_server.api.context import Surroundings
from video_translation_server.errors import ForbiddenError, UnauthorizedError
from video_translation_server.model import DEFAULT_WORKSPACE

ACTS_IN = "X-Workspace-Id"
"""Header of a request of whoever may administer: the workspace that it acts in."""


@dataclass(frozen=True, slots=True)
class _Caller:
    """Whose workspace a request acts in, and the stored key that opened it, where one did."""

    workspace_id: str
    key_id: str | None = None


async def _caller(request: Request, context: Surroundings) -> _Caller:
    named = request.headers.get(ACTS_IN)
    if named is not None:
        _admin(request, context)
        return _Caller((await context.store.workspace(named)).id)
    given = _key(request)
    digest = _digest(given)
    if _is_one_of(digest, context.key_digests):
        return _Caller(DEFAULT_WORKSPACE)
    stored = await context.store.key_of(digest) if given else None
    if stored is not None and stored.revoked_at is None:
        return _Caller(stored.workspace_id, stored.id)
    if context.is_open and (not given or not await context.store.has_keys()):
        return _Caller(DEFAULT_WORKSPACE)
    raise UnauthorizedError("give a valid key as X-Api-Key or as Authorization: Bearer")


def _workspace(caller: Annotated[_Caller, Depends(_caller)]) -> str:
    return caller.workspace_id


def _key_id(caller: Annotated[_Caller, Depends(_caller)]) -> str | None:
    return caller.key_id


def _admin(request: Request, context: Surroundings) -> None:
    if context.admin_digest is None:
        if not context.is_open:
            raise ForbiddenError("administration is closed; start the server with --admin-key")
    elif not _is_one_of(_digest(_key(request)), [context.admin_digest]):
        raise ForbiddenError("give the admin key as X-Api-Key or as Authorization: Bearer")


def _key(request: Request) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get("X-Api-Key") or (bearer.strip() if scheme.lower() == "bearer" else "")


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _is_one_of(digest: bytes, known: Iterable[bytes]) -> bool:
    # Every one is compared, so that the time taken tells nothing about which one was near.
    return sum(hmac.compare_digest(digest, one) for one in known) > 0


Workspace = Annotated[str, Depends(_workspace)]
"""Parameter type of a route that acts for a caller: the id of the caller's workspace."""

KeyId = Annotated[str | None, Depends(_key_id)]
"""Parameter type: the id of the stored key that the caller came with, None without one."""

Admin = Depends(_admin)
"""Dependency of a route that only whoever runs the server may call."""
