"""The calls about translations: each as data, with its reader.

How an answer is told from an error is in `operation`; who follows a job is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from video_translation_client._models import JobSnapshot, read_job
from video_translation_client._operations.operation import Operation, read_data


def create_translation(
    video: str | Mapping[str, Any], output_languages: Sequence[str], options: Mapping[str, Any]
) -> Operation[tuple[str, ...]]:
    """Start one job per language; the answer is their ids."""
    source = {"type": "url", "url": video} if isinstance(video, str) else dict(video)
    body = {"video": source, "output_languages": list(output_languages), **options}
    return Operation("create_translation", "POST", "/v3/video-translations", _read_ids, body=body)


def get_job(job_id: str) -> Operation[JobSnapshot]:
    """Read one job."""
    path = f"/v3/video-translations/{quote(job_id, safe='')}"
    return Operation("get_job", "GET", path, lambda answer: read_job(read_data(answer)), repeatable=True, heed=_heed)


def get_status(job_id: str | None = None) -> Operation[JobSnapshot]:
    """Ask `/status` for a job, or for the newest one."""
    query = {} if job_id is None else {"video_translation_id": job_id}
    return Operation("get_status", "GET", "/status", read_job, query=query, repeatable=True, heed=_heed)


def _heed(snapshot: JobSnapshot, retry_after: float) -> JobSnapshot:
    return replace(snapshot, retry_after=retry_after)


def _read_ids(answer: Any) -> tuple[str, ...]:
    ids = read_data(answer).get("video_translation_ids") if isinstance(read_data(answer), Mapping) else None
    if not isinstance(ids, list) or not all(isinstance(job_id, str) and job_id for job_id in ids):
        raise ValueError("`video_translation_ids` is not a list of ids")
    return tuple(ids)
