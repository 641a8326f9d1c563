"""Batches on the wire: what is asked for, how a batch is shown, and the event that tells of its end.

A batch has words of its own for the states of its jobs (contract/README.md).
"""

from collections.abc import Iterable
from typing import Any

import msgspec
from pydantic import Field, field_validator

from video_translation_server.model import Batch, Event, Job, JobStatus
from video_translation_server.wire.events import BATCH_FINISHED, BULK_STATUS, failure, iso_time
from video_translation_server.wire.requests import TranslationRequest, WebUrl
from video_translation_server.wire.strict import Strict

MOST_JOBS = 1000
"""Jobs that one batch may have: one per translation and language."""


class BatchRequest(Strict):
    """Body of `POST /v3/video-translations/batches`."""

    video_translations: list[TranslationRequest] = Field(min_length=1, max_length=100)
    title: str | None = Field(None, max_length=1000)
    callback_url: WebUrl | None = None

    @field_validator("video_translations")
    @classmethod
    def _is_not_too_much(cls, asked: list[TranslationRequest]) -> list[TranslationRequest]:
        count = sum(len(one.output_languages) for one in asked)
        if count > MOST_JOBS:
            raise ValueError(f"would be {count} jobs, one per language; a batch has at most {MOST_JOBS}")
        return asked


def batch_resource(batch: Batch) -> dict[str, Any]:
    """The batch without its items."""
    return {
        "batch_id": batch.id,
        "title": batch.title,
        "status": _status(batch.counts),
        "total_items": sum(batch.counts.values()),
        "counts_by_status": {word: batch.counts.get(status, 0) for status, word in BULK_STATUS.items()},
        "created_at": int(batch.created_at),
    }


def _status(counts: dict[JobStatus, int]) -> str:
    """`failed` only where nothing came of any of its jobs."""
    if any(count and not status.is_terminal for status, count in counts.items()):
        return "processing"
    return "completed" if counts.get(JobStatus.COMPLETED) else "failed"


def batch_items(jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """The jobs as items of their batch."""
    return [
        {
            "item_index": job.item_index,
            "video_id": job.id,
            "status": BULK_STATUS[job.status],
            "error": failure(job),
        }
        for job in jobs
    ]


def batch_event(batch: Batch, *, event_id: str, now: float) -> Event:
    """The event that tells that every job of the batch has ended."""
    body = msgspec.json.encode(
        {
            "event_id": event_id,
            "event_type": BATCH_FINISHED,
            "created_at": iso_time(now),
            "event_data": batch_resource(batch),
        }
    )
    return Event(
        id=event_id,
        workspace_id=batch.workspace_id,
        type=BATCH_FINISHED,
        created_at=now,
        body=body,
        batch_id=batch.id,
    )
