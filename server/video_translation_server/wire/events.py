"""Event types and bodies: a job's snapshot becomes bytes once, at its transition (decision 0007).

Which endpoint gets them is the store's business, how they are signed is `signing`'s.
"""

from datetime import UTC, datetime
from typing import Any

import msgspec

from video_translation_server.errors import InvalidError
from video_translation_server.model import Event, Job, JobStatus
from video_translation_server.wire.files import NO_FILES, FileUrls

MAX_BODY = 64 * 1024
"""Largest event body in bytes (docs/delivery.md)."""

TRANSITION_TYPES = {
    JobStatus.PENDING: "video_translate.pending",
    JobStatus.RUNNING: "video_translate.running",
    JobStatus.COMPLETED: "video_translate.success",
    JobStatus.FAILED: "video_translate.fail",
}

DOWNLOAD_FAILED = "video_translate.preflight.download_failed"
VALIDATION_FAILED = "video_translate.preflight.validation_failed"
"""Why a job failed before it began: its video could not be fetched, or is none."""

FINAL_TYPES = frozenset(
    {TRANSITION_TYPES[JobStatus.COMPLETED], TRANSITION_TYPES[JobStatus.FAILED], DOWNLOAD_FAILED, VALIDATION_FAILED}
)
"""Types after which nothing more is to come of a job."""

BULK_STATUS = {
    JobStatus.PENDING: "queued",
    JobStatus.RUNNING: "processing",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
}
"""The words of the list of many jobs' statuses, which are others than a job's own."""

BATCH_FINISHED = "batch.finished"

CALLBACK_TYPES = FINAL_TYPES | {BATCH_FINISHED}
"""What a `callback_url` gets: the end of its job or batch."""

PROGRESS = "video_translate.progress"

NOTICES = frozenset({"endpoint.disabled", "endpoint.recovered", "delivery.exhausted"})
"""Types that tell of deliveries; nothing is told of their own."""

BY_NAME_ONLY = frozenset({PROGRESS})
"""Types that an endpoint gets only where it asks for them by name."""

OUR_TYPES = {
    "video_translate.pending": "A translation was accepted and waits for its turn.",
    "video_translate.running": "A translation has started.",
    "video_translate.progress": "A running translation has moved on; sent only where asked for by name.",
    "endpoint.disabled": "An endpoint was disabled after failing for too long.",
    "endpoint.recovered": "An endpoint answers again after failing.",
    "delivery.exhausted": "A delivery has used up its attempts.",
    "endpoint.test": "Sent to one endpoint on request, to see whether it answers.",
}

REAL_TYPES = {
    "video_translate.success": "A translation is complete; its files can be fetched.",
    "video_translate.fail": "A translation has failed or was cancelled.",
    VALIDATION_FAILED: "A video was refused before its translation began; told instead of `video_translate.fail`.",
    DOWNLOAD_FAILED: "A video could not be fetched; told instead of `video_translate.fail`.",
    "batch.finished": "Every translation of a batch has ended.",
} | dict.fromkeys(
    (
        "avatar_video.success",
        "avatar_video.fail",
        "avatar_video_gif.success",
        "avatar_video_gif.fail",
        "personalized_video",
        "instant_avatar.success",
        "instant_avatar.fail",
        "photo_avatar_generation.success",
        "photo_avatar_generation.fail",
        "photo_avatar_train.success",
        "photo_avatar_train.fail",
        "photo_avatar_add_motion.success",
        "photo_avatar_add_motion.fail",
        "proofread_creation.success",
        "proofread_creation.fail",
        "live_avatar.success",
        "live_avatar.fail",
        "avatar_video_caption.success",
        "avatar_video_caption.fail",
        "video_agent.success",
        "video_agent.fail",
        "hyperframes_video.success",
        "hyperframes_video.fail",
        "ai_clipping.success",
        "ai_clipping.fail",
    ),
    "Known to the real service; accepted in a subscription, never sent by this server.",
)

EVENT_TYPES = REAL_TYPES | OUR_TYPES
"""Every type that a subscription may name, with what it says."""


def iso_time(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds, e.g. `2026-11-20T23:40:00.123Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def maybe_iso_time(seconds: float | None) -> str | None:
    """As `iso_time`; None stays None."""
    return None if seconds is None else iso_time(seconds)


def job_resource(job: Job, files: FileUrls = NO_FILES) -> dict[str, Any]:
    """The job as the API shows it: the real service's fields first, then ours (contract/README.md)."""
    request = job.request
    return {
        "id": job.id,
        "title": request.get("title"),
        "status": job.status,
        "input_language": request.get("input_language"),
        "output_language": job.output_language,
        "translate_audio_only": request.get("translate_audio_only", False),
        "duration": _rounded(job.plan.video_seconds),
        "video_url": files.video_url,
        "audio_url": files.audio_url,
        "srt_caption_url": files.srt_caption_url,
        "vtt_caption_url": files.vtt_caption_url,
        "failure_message": job.failure_message,
        "callback_id": request.get("callback_id"),
        "created_at": int(job.created_at),
        "sequence": job.sequence,
        "progress": job.progress,
        "updated_at": round(job.updated_at, 3),
        "cancelled_at": _rounded(job.cancelled_at),
        "estimated_completion_at": _rounded(job.ends_at),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def bulk_status(job: Job) -> dict[str, Any]:
    """The job in the list of many jobs' statuses, in that list's own words (contract/README.md)."""
    return {
        "batch_id": job.batch_id,
        "item_index": job.item_index,
        "video_id": job.id,
        "status": BULK_STATUS[job.status],
        "error": failure(job),
        "sequence": job.sequence,
        "progress": job.progress,
    }


def failure(job: Job) -> dict[str, Any] | None:
    """Why a job has failed; None for one that has not."""
    if job.status is not JobStatus.FAILED:
        return None
    code = "translation_failed" if job.cancelled_at is None else "cancelled"
    return {"code": code, "message": job.failure_message}


def unknown_status(*, video_id: str | None = None, batch_id: str | None = None) -> dict[str, Any]:
    """As `bulk_status`, for an id that names nothing in the workspace."""
    return {
        "batch_id": batch_id,
        "item_index": None,
        "video_id": video_id,
        "status": "not_found",
        "error": None,
        "sequence": None,
        "progress": None,
    }


def status_answer(job: Job, resource: dict[str, Any]) -> dict[str, Any]:
    """The answer of the mission's own door, `GET /status`: its word, then the job as other answers show it."""
    return {"result": job.status.result, **resource}


def transition_event(
    job: Job,
    *,
    event_id: str,
    now: float,
    room: int = 0,
    event_type: str | None = None,
    files: FileUrls = NO_FILES,
) -> Event:
    """Freeze the job's present state into the event that tells of it.

    Args:
        job: The job after its transition.
        event_id: The event's id.
        now: Unix seconds.
        room: Bytes to leave below the limit, for what the job's later events will add.
        event_type: Another type than the status has.
        files: Where its files can be had from then on.

    Raises:
        InvalidError: The body would be larger than 64 KiB.
    """
    event_type = event_type or TRANSITION_TYPES[job.status]
    body = _body(event_id, event_type, now, _transition_data(job, files))
    if len(body) + room > MAX_BODY:
        raise InvalidError(
            f"the events of this job would be {len(body) + room} bytes long; the limit is {MAX_BODY}: "
            "shorten `title` or `callback_id`",
            param="title",
        )
    return Event(
        id=event_id,
        workspace_id=job.workspace_id,
        type=event_type,
        created_at=now,
        body=body,
        job_id=job.id,
        sequence=job.sequence,
    )


def _transition_data(job: Job, files: FileUrls) -> dict[str, Any]:
    resource = job_resource(job, files)
    data = {
        "video_translate_id": resource.pop("id"),
        "callback_id": resource.pop("callback_id"),
        "output_language": resource.pop("output_language"),
        "status": resource.pop("status"),
        "result": job.status.result,
        "sequence": resource.pop("sequence"),
        "progress": resource.pop("progress"),
    }
    if job.status is JobStatus.COMPLETED:
        data["url"] = files.video_url
    if job.status is JobStatus.FAILED:
        data["message"] = job.failure_message
    return data | resource


def notice_event(event_type: str, data: dict[str, Any], *, event_id: str, workspace_id: str, now: float) -> Event:
    """An event about an endpoint or a delivery rather than a job."""
    body = _body(event_id, event_type, now, data)
    return Event(id=event_id, workspace_id=workspace_id, type=event_type, created_at=now, body=body)


def _body(event_id: str, event_type: str, now: float, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode(
        {"event_id": event_id, "event_type": event_type, "created_at": iso_time(now), "event_data": data}
    )
