"""What the service says, as frozen values: a job's state (`JobSnapshot`) and a change of it (`Event`).

The readers are tolerant: unknown fields are kept, missing ones are None, an unknown status is a status
that is not final; judging order, duplicates and trust is left to the modules above.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

PENDING: Final = "pending"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
KNOWN_STATUSES: Final = frozenset({PENDING, RUNNING, COMPLETED, FAILED})
TERMINAL_STATUSES: Final = frozenset({COMPLETED, FAILED})

# The mission's door (`/status`) has words of its own; they stand in where `status` is absent.
_RESULT_OF: Final = {PENDING: "pending", RUNNING: "pending", COMPLETED: "completed", FAILED: "error"}
_STATUS_OF: Final = {"pending": PENDING, "completed": COMPLETED, "error": FAILED}
# The real service's events carry no status: there the type tells.
_STATUS_OF_TYPE: Final = {
    "video_translate.pending": PENDING,
    "video_translate.running": RUNNING,
    "video_translate.progress": RUNNING,
    "video_translate.success": COMPLETED,
    "video_translate.fail": FAILED,
    "video_translate.preflight.validation_failed": FAILED,
    "video_translate.preflight.download_failed": FAILED,
}
_PROGRESS_TYPE: Final = "video_translate.progress"
# What a `datetime` can hold: the years 1 to 9999.
_FIRST_SECOND: Final = datetime.min.replace(tzinfo=UTC).timestamp()
_AFTER_LAST_SECOND: Final = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()
# A bulk status, or the real service's event, says little more than a status.
_LASTING: Final = ("output_language", "title", "callback_id", "created_at")


@dataclass(frozen=True, slots=True)
class JobSnapshot:
    """A job's state at one moment.

    Attributes:
        id: the job's id; empty where the service named none.
        status: `pending`, `running`, `completed` or `failed`; a newer service may know others.
        result: the mission's word for it: `pending`, `completed` or `error`.
        sequence: 1, 2, 3, ... one per status transition; None where the service does not count.
        progress: 0 to 100, or None.
        video_url: where the translated video is, once completed. The URLs are good for a while only.
        audio_url: where its sound alone is.
        srt_caption_url: where its captions are, as SRT.
        vtt_caption_url: the same, as WebVTT.
        failure_message: why it failed.
        output_language: the language of this job.
        title: as given on creation.
        callback_id: the caller's own mark, echoed.
        created_at: unix seconds.
        updated_at: unix seconds of the last transition.
        cancelled_at: unix seconds, set on a job that was cancelled.
        retry_after: seconds before which the service says that asking again is of no use.
        extra: every other field, untouched.
    """

    id: str
    status: str
    result: str
    sequence: int | None = None
    progress: float | None = None
    video_url: str | None = None
    audio_url: str | None = None
    srt_caption_url: str | None = None
    vtt_caption_url: str | None = None
    failure_message: str | None = None
    output_language: str | None = None
    title: str | None = None
    callback_id: str | None = None
    created_at: float | None = None
    updated_at: float | None = None
    cancelled_at: float | None = None
    retry_after: float | None = field(default=None, compare=False)
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    @property
    def terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in TERMINAL_STATUSES

    def keeping(self, known: JobSnapshot | None) -> JobSnapshot:
        """Return this state with what never changes taken from `known` of the same job, where it is missing here."""
        kept = {name: value for name in _LASTING if (value := getattr(known, name, None)) is not None}
        lacking = {name: value for name, value in kept.items() if getattr(self, name) is None}
        return replace(self, **lacking) if lacking else self

    def supersedes(self, other: JobSnapshot | None) -> bool:
        """Whether this state is at least as new as `other` of the same job."""
        if other is None:
            return True
        if self.sequence is None or other.sequence is None:
            return self.terminal or not other.terminal
        if self.sequence == other.sequence:
            if self.terminal != other.terminal:  # a service that was restored to an earlier point gives a sequence anew
                return self.terminal
            return (self.progress or 0.0) >= (other.progress or 0.0)
        return self.sequence > other.sequence


@dataclass(frozen=True, slots=True)
class Event:
    """One change of a job, as the service pushed it or as its log holds it.

    Attributes:
        id: the event's id, the same on every delivery of it.
        type: for example `video_translate.success`; a newer service may know others.
        created_at: when it happened (aware, UTC), or None where the service gave no readable time.
        job: the whole job at that moment.
        raw: the body as it came.
    """

    id: str
    type: str
    created_at: datetime | None
    job: JobSnapshot
    raw: Mapping[str, Any] = field(hash=False, repr=False)

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any], *, event_id: str = "") -> Event:
        """Make an event of what `raw` was before, for example after it was stored as JSON.

        Args:
            raw: the decoded body.
            event_id: the event's `id`, for bodies that name none.

        Raises:
            ValueError: the body is no event.
        """
        return read_event(raw, fallback_id=event_id)

    @property
    def is_progress(self) -> bool:
        """Whether this repeats the current transition and only tells how far it has come."""
        return self.type == _PROGRESS_TYPE

    @property
    def transition(self) -> tuple[str, int] | None:
        """The job's id and the sequence that this event brings it to; None where it is no transition of a job."""
        if self.job.sequence is None or not self.job.id or self.is_progress:
            return None
        return self.job.id, self.job.sequence


def read_job(data: Any) -> JobSnapshot:
    """Read a job from an answer of the API (its `data`, or the bare body of `/status`).

    Raises:
        ValueError: it is not a JSON object, or says neither `status` nor `result`.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"a job is a JSON object, not {type(data).__name__}")  # noqa: TRY004 - bad data, no bad call
    result = _text(data.get("result"))
    status = _text(data.get("status")) or _STATUS_OF.get(result or "", result)
    if status is None:
        raise ValueError("a job needs a `status` or a `result`")
    return _snapshot(data, job_id=_text(data.get("id")) or "", status=status)


def read_event(payload: Any, *, fallback_id: str = "") -> Event:
    """Read an event from a webhook body or from an item of the event log.

    Args:
        payload: the decoded JSON.
        fallback_id: the id to use where the body names none.

    Raises:
        ValueError: it is not a JSON object with an `event_type`.
    """
    if not isinstance(payload, Mapping):
        raise ValueError(f"an event is an object, not {type(payload).__name__}")  # noqa: TRY004 - bad data, no bad call
    kind = _text(payload.get("event_type"))
    if kind is None:
        raise ValueError("an event needs an `event_type`")
    data = payload.get("event_data")
    data = data if isinstance(data, Mapping) else {}
    status = (
        _text(data.get("status"))
        or _STATUS_OF.get(_text(data.get("result")) or "")
        or _STATUS_OF_TYPE.get(kind, "unknown")
    )
    job_id = _text(data.get("video_translate_id")) or _text(data.get("id")) or ""
    seconds = read_time(payload.get("created_at"))
    return Event(
        id=_text(payload.get("event_id")) or fallback_id,
        type=kind,
        created_at=None if seconds is None else datetime.fromtimestamp(seconds, UTC),
        job=_snapshot(data, job_id=job_id, status=status),
        raw=payload,
    )


_NAMED: Final = frozenset(
    {
        *("id", "video_translate_id", "status", "result", "sequence", "progress", "video_url", "url"),
        *("audio_url", "srt_caption_url", "vtt_caption_url"),
        *("failure_message", "message", "output_language", "title", "callback_id"),
        *("created_at", "updated_at", "cancelled_at"),
    }
)


def _snapshot(data: Mapping[str, Any], *, job_id: str, status: str) -> JobSnapshot:
    return JobSnapshot(
        id=job_id,
        status=status,
        result=_text(data.get("result")) or _RESULT_OF.get(status, "pending"),
        sequence=_count(data.get("sequence")),
        progress=_number(data.get("progress")),
        video_url=_text(data.get("video_url")) or _text(data.get("url")),
        audio_url=_text(data.get("audio_url")),
        srt_caption_url=_text(data.get("srt_caption_url")),
        vtt_caption_url=_text(data.get("vtt_caption_url")),
        failure_message=_text(data.get("failure_message")) or _text(data.get("message")),
        output_language=_text(data.get("output_language")),
        title=_text(data.get("title")),
        callback_id=_text(data.get("callback_id")),
        created_at=read_time(data.get("created_at")),
        updated_at=read_time(data.get("updated_at")),
        cancelled_at=read_time(data.get("cancelled_at")),
        extra={name: value for name, value in data.items() if name not in _NAMED},
    )


def read_time(value: Any) -> float | None:
    """Read a moment given as unix seconds or in ISO 8601 as unix seconds; None where it is neither."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return _within_calendar(aware.timestamp())
    number = _number(value)
    return None if number is None else _within_calendar(number)


def _within_calendar(seconds: float) -> float | None:
    return seconds if _FIRST_SECOND <= seconds < _AFTER_LAST_SECOND else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _count(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if value > 0 else None
