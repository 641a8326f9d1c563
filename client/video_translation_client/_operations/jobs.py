"""The calls about translations: each as data, with its reader.

How an answer is told from an error is in `operation`; who follows a job is decided elsewhere.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from video_translation_client._models import COMPLETED, FAILED, PENDING, RUNNING, JobSnapshot, read_job
from video_translation_client._operations.operation import Operation, Page, page_query, read_data, read_page

Video = str | os.PathLike[str] | Mapping[str, Any]
"""What can be translated: a URL, a file to upload, or the API's own form."""
_JOBS: Final = "/v3/video-translations"
# The bulk door and batches have words of their own.
STATUS_OF_WORD: Final = {"queued": PENDING, "processing": RUNNING, "completed": COMPLETED, "failed": FAILED}
_UNKNOWN_JOB: Final = "not_found"


def create_translation(
    video: Video, output_languages: Sequence[str] | str, options: Mapping[str, Any]
) -> Operation[tuple[str, ...]]:
    """Start one job per language; the answer is their ids."""
    body = translation_body(video, output_languages, options)
    return Operation("create_translation", "POST", _JOBS, _read_ids, body=body, keyed=True)


def translation_body(video: Video, output_languages: Sequence[str] | str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the body that asks for a translation; a path in it stands for a file that is to be uploaded first.

    Raises:
        TypeError: `video` is none of what can be translated.
        ValueError: `video` is the name of a file on this computer, and not a path.
    """
    languages = [output_languages] if isinstance(output_languages, str) else list(output_languages)
    return {"video": _source(video), "output_languages": languages, **options}


def _source(video: Video) -> Mapping[str, Any] | os.PathLike[str]:
    if isinstance(video, Mapping):
        return dict(video)
    if isinstance(video, os.PathLike):
        return video
    if not isinstance(video, str):
        raise TypeError(f"video is a URL, a pathlib.Path or a mapping such as {{'type': 'url', 'url': ...}}: {video!r}")
    # Text may come from a stranger, who must not have a file of this computer sent away: only a path does that.
    if "://" not in video and Path(video).is_file():
        raise ValueError(f"video {video!r} is no URL but a file on this computer: pass pathlib.Path(...) to upload it")
    return {"type": "url", "url": video}


def get_job(job_id: str) -> Operation[JobSnapshot]:
    """Read one job."""
    return Operation("get_job", "GET", _job_path(job_id), _read_one, repeatable=True, heed=_heed)


def rename_job(job_id: str, title: str) -> Operation[JobSnapshot]:
    """Give a job another title; nothing is pushed for that."""
    body = {"title": title}
    return Operation("rename_job", "PATCH", _job_path(job_id), _read_one, body=body, repeatable=True)


def delete_job(job_id: str) -> Operation[None]:
    """Delete a job for good; one that has not ended is cancelled first."""
    return Operation("delete_job", "DELETE", _job_path(job_id), lambda _: None, repeatable=True)


def cancel_job(job_id: str) -> Operation[JobSnapshot]:
    """Cancel a job; the answer is the job, failed. One that has ended is a conflict."""
    return Operation("cancel_job", "POST", _job_path(job_id) + "/cancel", _read_one, keyed=True)


def list_jobs(token: str | None = None, *, status: str | None = None) -> Operation[Page[JobSnapshot]]:
    """Read one page of the workspace's jobs, newest first.

    Args:
        token: of the page; None is the first.
        status: only jobs with it. Also where the service does not know this filter.
    """

    def parse(answer: Any) -> Page[JobSnapshot]:
        page = read_page(answer, read_job)
        return Page(tuple(job for job in page.items if status in (None, job.status)), page.next_token)

    return Operation("list_jobs", "GET", _JOBS, parse, query=page_query(token, status=status), repeatable=True)


def get_statuses(job_ids: Sequence[str], token: str | None = None) -> Operation[Page[JobSnapshot]]:
    """Ask for the statuses of many jobs at once (at most 100); unknown jobs are left out of the answer.

    The answer knows nothing but the status (and `failure_message`): a completed job's `video_url` is read
    with `get_job`.
    """
    query: dict[str, str | int] = {"video_translation_ids": ",".join(job_ids)}
    if token is not None:
        query["token"] = token
    return Operation(
        "get_statuses",
        "GET",
        _JOBS + "/statuses",
        lambda answer: read_page(answer, _read_bulk_item),
        query=query,
        repeatable=True,
        heed=lambda page, pause: replace(page, items=tuple(_heed(job, pause) for job in page.items)),
    )


def list_languages() -> Operation[tuple[str, ...]]:
    """Read the names that `output_languages` takes."""
    return Operation("languages", "GET", _JOBS + "/languages", _read_languages, repeatable=True)


def get_status(job_id: str | None = None) -> Operation[JobSnapshot]:
    """Ask `/status` for a job, or for the newest one."""
    query = {} if job_id is None else {"video_translation_id": job_id}
    return Operation("get_status", "GET", "/status", read_job, query=query, repeatable=True, heed=_heed)


def check_job_id(job_id: object) -> None:
    """Refuse what cannot be a job's id, before it becomes another path.

    Raises:
        ValueError: it is empty, or no text, or would name another path.
    """
    if not isinstance(job_id, str) or job_id in ("", ".", ".."):
        raise ValueError(f"job_id must be a job's id, such as job.id of an earlier run, not {job_id!r}")


def _heed(snapshot: JobSnapshot, retry_after: float) -> JobSnapshot:
    return replace(snapshot, retry_after=retry_after)


def _read_ids(answer: Any) -> tuple[str, ...]:
    ids = read_data(answer).get("video_translation_ids") if isinstance(read_data(answer), Mapping) else None
    if not isinstance(ids, list) or not all(isinstance(job_id, str) and job_id for job_id in ids):
        raise ValueError("`video_translation_ids` is not a list of ids")
    return tuple(ids)


def _read_one(answer: Any) -> JobSnapshot:
    return read_job(read_data(answer))


def _read_bulk_item(item: Any) -> JobSnapshot | None:
    if not isinstance(item, Mapping) or not isinstance(item.get("status"), str):
        raise ValueError("a status needs a `status`")  # noqa: TRY004 - the reader's callers catch one type
    job_id, word, error = item.get("video_id"), item["status"], item.get("error")
    if word == _UNKNOWN_JOB or not job_id:
        return None
    message = error.get("message") if isinstance(error, Mapping) else None
    return read_job({**item, "id": job_id, "status": STATUS_OF_WORD.get(word, word), "failure_message": message})


def _read_languages(answer: Any) -> tuple[str, ...]:
    data = read_data(answer)
    names = data.get("languages") if isinstance(data, Mapping) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("`languages` is not a list of names")
    return tuple(names)


def _job_path(job_id: str) -> str:
    check_job_id(job_id)
    return f"{_JOBS}/{quote(job_id, safe='')}"
