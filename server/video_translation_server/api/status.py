"""`GET /status`: the mission's own door, one word for the state of a job."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from video_translation_server.api.answers import plain
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.hints import when_to_ask
from video_translation_server.api.shown import shown
from video_translation_server.api.waiting import Patient
from video_translation_server.errors import NotFoundError
from video_translation_server.wire.events import status_answer
from video_translation_server.wire.responses import Status

router = APIRouter(tags=["status"], responses=RESPONSES)


@router.get("/status", response_model=Status)
async def get(
    workspace: Workspace,
    context: Surroundings,
    patient: Patient,
    video_translation_id: Annotated[str | None, Query(description="Without it: the newest job")] = None,
) -> Response:
    """`result` is `pending`, `completed` or `error`; with `wait`, the answer comes once the job has moved on."""
    if video_translation_id is None:
        newest = await context.store.newest_job(workspace)
        if newest is None:
            raise NotFoundError("there is no job yet; create one with POST /v3/video-translations")
        video_translation_id = newest.id
    job = await patient.job(video_translation_id)
    now = context.clock.now()
    return plain(status_answer(job, await shown(job, context)), headers=when_to_ask([job], now) | patient.headers)
