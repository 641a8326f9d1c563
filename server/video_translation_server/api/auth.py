"""Who is asking: from a request's key to its workspace."""

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request

from video_translation_server.api.context import Surroundings
from video_translation_server.errors import UnauthorizedError
from video_translation_server.model import DEFAULT_WORKSPACE


def _workspace(request: Request, context: Surroundings) -> str:
    if not context.key_digests:
        return DEFAULT_WORKSPACE
    digest = hashlib.sha256(_key(request).encode()).digest()
    # Every digest is compared, so that the time taken tells nothing about which one was near.
    if sum(hmac.compare_digest(digest, known) for known in context.key_digests) == 0:
        raise UnauthorizedError("give a valid key as X-Api-Key or as Authorization: Bearer")
    return DEFAULT_WORKSPACE


def _key(request: Request) -> str:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    return request.headers.get("X-Api-Key") or (bearer.strip() if scheme.lower() == "bearer" else "")


Workspace = Annotated[str, Depends(_workspace)]
"""Parameter type of a route that acts for a caller: the id of the caller's workspace."""
