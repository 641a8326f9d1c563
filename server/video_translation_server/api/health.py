"""`/healthz` and `/readyz`: is the process alive, and can it take work. No key needed."""

from fastapi import APIRouter, Response

from video_translation_server import __version__
from video_translation_server.api.answers import plain
from video_translation_server.api.context import Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.errors import StoreError
from video_translation_server.wire.responses import Health

router = APIRouter(tags=["health"], responses=RESPONSES)


@router.get("/healthz", response_model=Health)
async def healthz() -> Response:
    """The process answers."""
    return plain({"status": "ok", "detail": {"version": __version__}})


@router.get("/readyz", response_model=Health)
async def readyz(context: Surroundings) -> Response:
    """The database commits and every loop runs; 503 where not."""
    try:
        await context.store.ping()
    except StoreError as error:
        return plain({"status": "unavailable", "detail": {"store": str(error)}}, 503)
    if not context.is_ready():
        return plain({"status": "unavailable", "detail": {"loops": "not all loops run"}}, 503)
    return plain({"status": "ok", "detail": {}})
