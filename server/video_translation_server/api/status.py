"""`GET /status`: the mission's own door, one word for the state of a job."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from video_translation_server.api.answers import plain
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Surroundings
from video_translation_server.api.hints import when_to_ask
from video_translation_server.errors import NotFoundError
from video_translation_server.wire.events import status_answer
from video_translation_server.wire.responses import Status

router = APIRouter(tags=["status"])


@router.get("/status", response_model=Status)
async def get(
    workspace: Workspace,
    context: Surroundings,
    video_translation_id: Annotated[str | None, Query(description="Without it: the newest job")] = None,
) -> Response:
    """`result` is `pending`, `completed` or `error`."""
    if video_translation_id is None:
        job = await context.store.newest_job(workspace)
    else:
        job = await context.store.job(workspace, video_translation_id)
    if job is None:
        raise NotFoundError("there is no job yet; create one with POST /v3/video-translations")
    return plain(status_answer(job), headers=when_to_ask([job], context.clock.now()))
