"""`POST /v3/video-translations/{id}/cancel`: a caller gives a job up.

What becomes of the job is `lifecycle`'s business; here the race with the simulation is run again until one has won.
"""

from functools import partial

from fastapi import APIRouter, Response

from video_translation_server import lifecycle
from video_translation_server.api.answers import answer
from video_translation_server.api.auth import Workspace
from video_translation_server.api.context import Context, Surroundings
from video_translation_server.api.errors import RESPONSES
from video_translation_server.api.idempotency import Keeping, OnceOnly
from video_translation_server.api.shown import listed
from video_translation_server.model import Job
from video_translation_server.transitions import record
from video_translation_server.wire.responses import Answer, Translation

router = APIRouter(prefix="/v3/video-translations", tags=["translations"], responses=RESPONSES)

_KEEP_NOTHING = Keeping(None)


@router.post("/{video_translation_id}/cancel", response_model=Answer[Translation])
async def cancel(video_translation_id: str, workspace: Workspace, context: Surroundings, once: OnceOnly) -> Response:
    """Give up a pending or running job: it fails, with `cancelled_at`. 409 `conflict` for one that has ended."""

    async def work(keeping: Keeping) -> Response:
        return _shown(await cancelled(workspace, video_translation_id, context, keeping), context)

    return await once.run(work)


async def cancelled(workspace: str, job_id: str, context: Context, keeping: Keeping = _KEEP_NOTHING) -> Job:
    """The job, given up now.

    Raises:
        NotFoundError: The workspace has no such job.
        ConflictError: It has ended already.
    """
    while True:
        job = await context.store.job(workspace, job_id)
        change = lifecycle.cancel(job, event_id=context.ids("evt"), now=context.clock.now())
        keep = keeping(partial(_if_it_took_place, _shown(change.job, context)))
        if await record(context.store, [change], keep=keep) == [True]:
            return change.job
        # The job has moved in between: what it is now decides. It ends, since a job has few moves.


def _shown(job: Job, context: Context) -> Response:
    return answer(listed(job, context, job.updated_at))


def _if_it_took_place(done: Response, recorded: list[bool]) -> Response | None:
    return done if recorded == [True] else None
