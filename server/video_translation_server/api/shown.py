"""A job as an answer shows it: as time has made it, with its place in line and what it may expect there.

Events show less of it: they are frozen at the job's moves (decision 0007).
"""

from typing import Any

from video_translation_server import lifecycle
from video_translation_server.api.context import Context
from video_translation_server.forecast import forecast
from video_translation_server.model import DEFAULT_PRIORITY, Job, JobStatus
from video_translation_server.wire.events import job_resource


def listed(job: Job, context: Context, now: float) -> dict[str, Any]:
    """The job in a list: nothing is looked up for it, so that a job in line has no place."""
    starts_at = job.due_at if job.status is JobStatus.PENDING else None
    return job_resource(lifecycle.as_of(job, now), context.links.of(job, now=now)) | {
        "priority": job.request.get("priority", DEFAULT_PRIORITY),
        "queue_position": None,
        "estimated_start_at": None if starts_at is None else round(starts_at, 3),
    }


async def shown(job: Job, context: Context) -> dict[str, Any]:
    """The job in an answer of its own."""
    now = context.clock.now()
    resource = listed(job, context, now)
    place = None if job.rank is None else await context.store.place(job)
    if place is None:
        return resource
    expected = forecast(job, place, workers=context.workers.of(job.plan.lane or 0), now=now)
    return resource | {
        "queue_position": expected.position,
        "estimated_start_at": round(expected.starts_at, 3),
        "estimated_completion_at": round(expected.ends_at, 3),
    }
