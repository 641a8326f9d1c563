"""`GET /v3/video-translations/statuses`: many jobs in one request, by their ids or by their batches'."""

from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Query, Response

from video_translation_server import lifecycle
from video_translation_server.api.answers import page
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.hints import when_to_ask
from video_translation_server.errors import InvalidError
from video_translation_server.model import Job
from video_translation_server.wire.events import bulk_status, unknown_status
from video_translation_server.wire.responses import BulkStatus, Page

router = APIRouter(prefix="/v3/video-translations", tags=["translations"], responses=RESPONSES)

MOST = 100
"""Ids per request."""

MOST_BATCHES = 10
"""Batches per request; each may be a thousand jobs."""

LONGEST = 255
"""Characters of an id."""

Ids = Annotated[str | None, Query(description=f"Ids with commas between them, at most {MOST}")]
BatchIds = Annotated[str | None, Query(description=f"Batches' ids with commas between them, at most {MOST_BATCHES}")]


@router.get("/statuses", response_model=Page[BulkStatus])
async def list_(
    workspace: Workspace, context: Surroundings, video_translation_ids: Ids = None, batch_ids: BatchIds = None
) -> Response:
    """Each id once, in the order of its first naming, then every job of each batch; an unknown one is `not_found`."""
    wanted = _each_once("video_translation_ids", video_translation_ids, MOST)
    named = _each_once("batch_ids", batch_ids, MOST_BATCHES)
    if not wanted and not named:
        raise InvalidError("name the jobs: video_translation_ids=ID,ID,...", param="video_translation_ids")
    now = context.clock.now()

    async def seen(job: Job) -> Job:
        return lifecycle.as_of(await context.polls.seen(job), now)

    known = await context.store.jobs_of(workspace, wanted) if wanted else {}
    jobs = {name: await seen(job) for name, job in known.items()}
    items = [bulk_status(jobs[name]) if name in jobs else unknown_status(video_id=name) for name in wanted]
    known_batches = await context.store.jobs_of_batches(workspace, named) if named else {}
    batches = {name: [await seen(job) for job in found] for name, found in known_batches.items()}
    for name in named:
        items += [bulk_status(job) for job in batches.get(name, ())] or [unknown_status(batch_id=name)]
    return page(items, None, headers=when_to_ask(chain(jobs.values(), *batches.values()), now))


def _each_once(param: str, text: str | None, most: int) -> list[str]:
    if text is None:
        return []
    names = list(dict.fromkeys(text.split(",")))
    if len(names) > most:
        raise InvalidError(f"{param} names {len(names)} ids; ask for at most {most} at once", param=param)
    if not all(0 < len(name) <= LONGEST for name in names):
        raise InvalidError(f"{param} must be ids of 1 to {LONGEST} characters with commas between them", param=param)
    return names
