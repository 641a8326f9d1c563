"""The life of a job, pure: which transitions are legal, and what a move makes of a job.

When a job moves is decided by `simulation` (or a caller); this module reads no clock and does no I/O.
docs/state_machines.md draws it.
"""

from typing import Any

import msgspec

from video_translation_server.errors import ConflictError
from video_translation_server.model import Change, Job, JobStatus, Plan
from video_translation_server.wire.events import transition_event

TRANSITIONS = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED}),
    JobStatus.COMPLETED: frozenset[JobStatus](),
    JobStatus.FAILED: frozenset[JobStatus](),
}

CANCELLED = "Cancelled by the caller"
"""The reason that a cancelled job shows (contract/README.md)."""

ROOM_TO_END = 4096
"""Bytes that the later events of a job may add to its first: URLs, a caller's reason, larger numbers."""


def create(
    *,
    job_id: str,
    workspace_id: str,
    output_language: str,
    request: dict[str, Any],
    plan: Plan,
    event_id: str,
    now: float,
) -> Change:
    """A new job in `pending`, sequence 1, with the event that tells of it.

    Raises:
        InvalidError: Its events, the last one included, would be larger than the wire allows.
    """
    job = Job(
        id=job_id,
        workspace_id=workspace_id,
        status=JobStatus.PENDING,
        sequence=1,
        version=1,
        output_language=output_language,
        request=request,
        plan=plan,
        created_at=now,
        updated_at=now,
        due_at=now + plan.pending_seconds,
    )
    # A failure's message is in the body twice.
    room = ROOM_TO_END + 2 * len(msgspec.json.encode(plan.failure_message))
    return Change(job=job, event=transition_event(job, event_id=event_id, now=now, room=room))


def move(job: Job, to: JobStatus, *, event_id: str, now: float, **fields: Any) -> Change:
    """The job in its next status, one sequence further, with the event that tells of it.

    Args:
        job: The job as it was read.
        to: Its next status.
        event_id: The id for the event.
        now: Unix seconds.
        fields: Other fields of `Job` that change with the move.

    Raises:
        ConflictError: The state machine has no such transition.
    """
    if to not in TRANSITIONS[job.status]:
        raise ConflictError(f"job {job.id} is {job.status} and cannot become {to}")
    moved = msgspec.structs.replace(
        job, status=to, sequence=job.sequence + 1, version=job.version + 1, updated_at=now, **fields
    )
    return Change(job=moved, event=transition_event(moved, event_id=event_id, now=now))


def advance(job: Job, *, event_id: str, now: float, media_url: str) -> Change:
    """The next move of the job's own plan: to `running`, then to `completed` or `failed`.

    Args:
        job: A job whose plan has a next move.
        event_id: The id for the event.
        now: Unix seconds.
        media_url: Base of the URL that a completed job's video gets.

    Raises:
        ConflictError: The job is terminal: nothing is planned for it.
    """
    if job.status is JobStatus.PENDING:
        due_at = now + job.plan.running_seconds
        return move(job, JobStatus.RUNNING, event_id=event_id, now=now, due_at=due_at)
    if job.plan.failure_message is not None:
        message = job.plan.failure_message
        return move(job, JobStatus.FAILED, event_id=event_id, now=now, due_at=None, failure_message=message)
    video_url = f"{media_url.rstrip('/')}/{job.id}.mp4"
    return move(
        job,
        JobStatus.COMPLETED,
        event_id=event_id,
        now=now,
        due_at=None,
        progress=100,
        video_url=video_url,
    )


def cancel(job: Job, *, event_id: str, now: float) -> Change:
    """The job given up by its caller: `failed`, with `cancelled_at`; told like any other failure.

    Args:
        job: The job as it was read.
        event_id: The id for the event.
        now: Unix seconds.

    Raises:
        ConflictError: The job is terminal.
    """
    if job.status.is_terminal:
        raise ConflictError(
            f"video translation {job.id} is {job.status} already; only a pending or running one can be cancelled",
            param="video_translation_id",
        )
    return move(
        job, JobStatus.FAILED, event_id=event_id, now=now, due_at=None, failure_message=CANCELLED, cancelled_at=now
    )
