"""`/v3/admin/status` and `/v3/admin/jobs`: what goes on in all workspaces, for whoever runs the server.

One workspace at a time is `admin`'s business; to act on a job, the caller names its workspace (`auth.ACTS_IN`).
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from video_translation_server import __version__
from video_translation_server.api.answers import Limit, Token, answer, decode_token, encode_token, page
from video_translation_server.api.auth import Admin
from video_translation_server.api.context import Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.shown import listed, shown
from video_translation_server.api.translations import Wanted
from video_translation_server.wire.events import iso_time
from video_translation_server.wire.responses import Answer, Page, ServerStatus, TranslationOfAny

router = APIRouter(prefix="/v3/admin", tags=["admin"], dependencies=[Admin], responses=RESPONSES)


@router.get("/status", response_model=Answer[ServerStatus])
async def status(context: Surroundings) -> Response:
    """The server's version and time, and how many jobs of all workspaces are in each status."""
    jobs = await context.store.count_jobs(None)
    return answer({"version": __version__, "now": iso_time(context.clock.now()), "jobs": jobs})


@router.get("/jobs", response_model=Page[TranslationOfAny])
async def jobs(
    *,
    context: Surroundings,
    wanted: Wanted,
    workspace_id: Annotated[str | None, Query(max_length=255, description="None: of all workspaces")] = None,
    limit: Limit = 10,
    token: Token = None,
) -> Response:
    """The jobs of all workspaces or of one, newest first."""
    if workspace_id is not None:
        await context.store.workspace(workspace_id)
    place = decode_token("jobs", token)
    found, more = await context.store.jobs(workspace_id, limit=limit, token=place, wanted=wanted)
    now = context.clock.now()
    resources = [listed(job, context, now) | {"workspace_id": job.workspace_id} for job in found]
    return page(resources, encode_token("jobs", more))


@router.get("/jobs/{video_translation_id}", response_model=Answer[TranslationOfAny])
async def job(video_translation_id: str, context: Surroundings) -> Response:
    """One job, of whichever workspace."""
    found = await context.store.job(None, video_translation_id)
    return answer(await shown(found, context) | {"workspace_id": found.workspace_id})
