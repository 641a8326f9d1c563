"""`POST /v3/assets`: a file to translate, uploaded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, Request, Response

from video_translation_server.api.answers import answer
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.idempotency import REPLAYED, OnceOnly
from video_translation_server.api.upload import Upload
from video_translation_server.model import Asset
from video_translation_server.wire.responses import Answer, AssetAnswer

router = APIRouter(prefix="/v3/assets", tags=["assets"], responses=RESPONSES)

NEITHER = "application/octet-stream"
"""What a file is in which nothing plays."""

_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {"file": {"type": "string", "format": "binary", "minLength": 1}},
    "additionalProperties": False,
}
BODY = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}}


@router.post("", response_model=Answer[AssetAnswer], openapi_extra=BODY)
async def create(request: Request, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Keep a file, sent as the part `file` of multipart/form-data; its id goes into `video.asset_id`."""
    async with _received(request, workspace, context) as asset:
        done = await once.do(lambda keep: context.store.create_asset(asset, keep=keep), lambda _: _shown(asset))
    if all(done.headers.get(name) == value for name, value in REPLAYED.items()):
        await asyncio.to_thread(context.shelf.drop, asset.id)  # the first one is there
    return done


@asynccontextmanager
async def _received(request: Request, workspace: str, context: Context) -> AsyncIterator[Asset]:
    """The asset whose file is in its place; the file goes if the block does not keep the asset."""
    asset_id, shelf = context.ids("asset"), context.shelf
    try:
        with await asyncio.to_thread(shelf.open, asset_id) as file:
            upload = Upload(request.headers.get("Content-Type", ""), file, most=context.max_asset_bytes)
            await upload.read(request.stream())
        await asyncio.to_thread(shelf.keep, asset_id)
        footage = await context.studio.look(shelf.path(asset_id))
        yield Asset(
            id=asset_id,
            workspace_id=workspace,
            media_type=NEITHER if footage is None else footage.media_type,
            size=upload.size,
            created_at=context.clock.now(),
            seconds=None if footage is None else footage.seconds,
        )
    except BaseException:
        # Also where the caller leaves or the server stops in the middle of it.
        shelf.drop(asset_id)
        raise


def _shown(asset: Asset) -> Response:
    return answer(
        {"asset_id": asset.id, "mime_type": asset.media_type, "size_bytes": asset.size, "duration": asset.seconds}
    )
