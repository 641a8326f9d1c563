"""The stable JSON shapes: what each command prints of a job, an event, an endpoint.

Names are those of the service's API, so that a program can read either; how they are laid out is `output`'s business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from video_translation_client.cli.output import cell, harmless

if TYPE_CHECKING:
    from video_translation_client import JobSnapshot

JOB_COLUMNS: Final = ("id", "status", "progress", "output_language", "title", "video_url")
_NOT_THE_JOBS: Final = ("extra", "retry_after")
COLOURS: Final = {"completed": "green", "failed": "red", "running": "cyan", "pending": "yellow"}


def job_record(job: JobSnapshot) -> dict[str, Any]:
    """Return a job as the API's own fields; what only some servers tell comes last."""
    names = [field.name for field in dataclasses.fields(job) if field.name not in _NOT_THE_JOBS]
    record = {name: getattr(job, name) for name in names}
    return record | dict(job.extra)


def job_line(job: JobSnapshot) -> str:
    """Return a job as one line for people: id, language, status, and what came of it."""
    words = [job.id or "(no id)", harmless(job.output_language or ""), coloured(job.status)]
    if not job.terminal and job.progress is not None:
        words.append(f"{job.progress:g} %")
    if job.terminal:
        words.append(harmless(job.video_url or job.failure_message or ""))
    return "  ".join(word for word in words if word)


def time_left(job: JobSnapshot, now: float) -> float | None:
    """Return the seconds until a job's end, as the service estimates or as its progress lets expect."""
    from video_translation_client._models import read_time  # noqa: PLC0415 - see the package

    end = read_time(job.extra.get("estimated_completion_at"))
    if job.terminal:
        return None
    if end is not None:
        return max(0.0, end - now)
    if not job.progress or job.updated_at is None:
        return None
    return max(0.0, (now - job.updated_at) * (100.0 - job.progress) / job.progress)


def share_done(job: JobSnapshot, now: float) -> float | None:
    """Return how much of a job is done, in percent: as the service says, or else as its estimate lets expect."""
    if job.terminal:
        return 100.0
    left = time_left(job, now)
    if job.progress or left is None or job.updated_at is None:
        return job.progress or None
    passed = max(0.0, now - job.updated_at)
    return min(99.0, 100.0 * passed / (passed + left)) if passed + left else None


def coloured(status: str) -> str:
    """Return a status in its colour."""
    return click.style(harmless(status), fg=COLOURS.get(status))


def plain_record(value: Any) -> Any:
    """Return frozen values of the client (with their `extra` fields merged in) as JSON takes them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = {item.name: plain_record(getattr(value, item.name)) for item in dataclasses.fields(value)}
        extra = named.pop("extra", None) or {}
        named.pop("has_description", None)  # for the client itself: what the service told is `description`
        return named | extra
    if isinstance(value, Mapping):
        return {str(name): plain_record(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain_record(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else cell(str(value))
