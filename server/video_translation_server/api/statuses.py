"""`GET /v3/video-translations/statuses`: many jobs in one request, and one query behind it."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from video_translation_server import lifecycle
from video_translation_server.api.answers import page
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Surroundings
from video_translation_server.api.hints import when_to_ask
from video_translation_server.errors import InvalidError
from video_translation_server.wire.events import bulk_status, unknown_status
from video_translation_server.wire.responses import BulkStatus, Page

router = APIRouter(prefix="/v3/video-translations", tags=["translations"])

MOST = 100
"""Ids per request."""

LONGEST = 255
"""Characters of an id."""

Ids = Annotated[str | None, Query(description=f"Ids with commas between them, at most {MOST}")]


@router.get("/statuses", response_model=Page[BulkStatus])
async def list_(
    workspace: Workspace, context: Surroundings, video_translation_ids: Ids = None, batch_ids: Ids = None
) -> Response:
    """Each id once, in the order of its first naming; an unknown one is `not_found`, as every batch is for now."""
    wanted = _each_once("video_translation_ids", video_translation_ids)
    batches = _each_once("batch_ids", batch_ids)
    if not wanted and not batches:
        raise InvalidError("name the jobs: video_translation_ids=ID,ID,...", param="video_translation_ids")
    found = await context.store.jobs_of(workspace, wanted)
    now = context.clock.now()
    jobs = {name: lifecycle.as_of(await context.polls.seen(job), now) for name, job in found.items()}
    items = [bulk_status(jobs[name]) if name in jobs else unknown_status(video_id=name) for name in wanted]
    items += [unknown_status(batch_id=name) for name in batches]
    return page(items, None, headers=when_to_ask(jobs.values(), now))


def _each_once(param: str, text: str | None) -> list[str]:
    if text is None:
        return []
    names = list(dict.fromkeys(text.split(",")))
    if len(names) > MOST:
        raise InvalidError(f"{param} names {len(names)} ids; ask for at most {MOST} at once", param=param)
    if not all(0 < len(name) <= LONGEST for name in names):
        raise InvalidError(f"{param} must be ids of 1 to {LONGEST} characters with commas between them", param=param)
    return names
