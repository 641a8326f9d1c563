"""The life of a job, pure: which transitions are legal, and what a move makes of a job.

When a job moves is decided by `simulation` (or a caller); this module reads no clock and does no I/O.
docs/state_machines.md draws it.
"""

from typing import Any

import msgspec

from video_translation_server.errors import ConflictError
from video_translation_server.ids import Ids
from video_translation_server.links import Links
from video_translation_server.model import Change, Job, JobStatus, Plan
from video_translation_server.wire.events import PROGRESS, transition_event
from video_translation_server.wire.files import NO_FILES

TRANSITIONS = {
    JobStatus.PENDING: frozenset({JobStatus.RUNNING, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PENDING}),
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
    in_preflight: bool = False,
) -> Change:
    """A new job in `pending`, sequence 1, with the event that tells of it; its plan begins after its preflight.

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
        in_preflight=in_preflight,
        **({"due_at": None} if in_preflight else _waiting(plan, now)),
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
        fields: Other fields of `Job` that change with the move; `links` and `event_type` as for any change.

    Raises:
        ConflictError: The state machine has no such transition.
    """
    if to not in TRANSITIONS[job.status]:
        raise ConflictError(f"job {job.id} is {job.status} and cannot become {to}")
    return _moved(job, to, event_id=event_id, now=now, **fields)


def _moved(job: Job, to: JobStatus, *, event_id: str, now: float, **fields: Any) -> Change:
    # Whoever moves has left the line, unless it is put into it again, and waits for no look at its video.
    fields = {"rank": None, "in_preflight": False} | fields
    return _changed(job, event_id=event_id, now=now, status=to, sequence=job.sequence + 1, **fields)


def _updated(job: Job, *, event_id: str, now: float, **fields: Any) -> Change:
    """The job in the same status with other fields; told of only to those who ask for progress by name."""
    return _changed(job, event_id=event_id, now=now, event_type=PROGRESS, **fields)


def _changed(
    job: Job,
    *,
    event_id: str,
    now: float,
    links: Links | None = None,
    event_type: str | None = None,
    **fields: Any,
) -> Change:
    """The job with other fields; `links` make the URLs of the files that it may have now."""
    changed = msgspec.structs.replace(job, version=job.version + 1, updated_at=now, **fields)
    files = NO_FILES if links is None else links.of(changed, now=now)
    event = transition_event(changed, event_id=event_id, now=now, event_type=event_type, files=files)
    return Change(job=changed, event=event)


def _waiting(plan: Plan, now: float) -> dict[str, Any]:
    """What a job waits for before it runs: its place in line, or the time."""
    if plan.lane is not None:
        return {"due_at": None, "rank": now - plan.head_start}
    return {"due_at": _due(plan, now + plan.pending_seconds), "rank": None}


def _due(plan: Plan, at: float) -> float | None:
    """When time makes the next move; a job that is moved by hand has no such time."""
    return None if plan.is_manual else at


def advance(job: Job, *, event_id: str, now: float, links: Links) -> Change:
    """The next move of the job's own plan: to `running`, its progress, back to `pending`, its end, then its URL.

    Args:
        job: A job whose plan has a next move.
        event_id: The id for the event.
        now: Unix seconds.
        links: Makes the URLs of a completed job's files.

    Raises:
        ConflictError: The job has ended, and nothing is planned for it.
    """
    if job.status is JobStatus.PENDING:
        started = msgspec.structs.replace(job, runs=job.runs + 1)
        return move(started, JobStatus.RUNNING, event_id=event_id, now=now, due_at=_next_step(started, now))
    if job.status is JobStatus.COMPLETED and job.plan.url_delay and job.files_at is None:
        return _updated(job, event_id=event_id, now=now, links=links, due_at=None, files_at=now)
    if job.status is JobStatus.RUNNING and not job.is_stuck and job.step + 1 < job.plan.steps:
        stepped = msgspec.structs.replace(job, progress=round(100 * (job.step + 1) / job.plan.steps))
        return _updated(stepped, event_id=event_id, now=now, due_at=_next_step(stepped, now))
    if 0 < job.runs <= job.plan.retries:
        return move(job, JobStatus.PENDING, event_id=event_id, now=now, progress=0, **_waiting(job.plan, now))
    if job.plan.failure_message is not None:
        return fail(job, job.plan.failure_message, event_id=event_id, now=now)
    return _completed(job, event_id=event_id, now=now, links=links)


def _next_step(job: Job, now: float) -> float | None:
    """When a running job's next step is over; for one that has stalled, when it is given up."""
    return _due(job.plan, now + (job.plan.stall_timeout if job.is_stuck else job.plan.running_seconds / job.plan.steps))


def as_of(job: Job, now: float) -> Job:
    """The job as a reader sees it: where time moves it, with the progress that its run has made between two moves."""
    if job.status is not JobStatus.RUNNING or job.due_at is None or job.is_stuck or job.due_at <= job.updated_at:
        return job
    share = min(max((now - job.updated_at) / (job.due_at - job.updated_at), 0), 1)
    return msgspec.structs.replace(job, progress=min(int(job.progress + share * 100 / job.plan.steps), 99))


def _completed(job: Job, *, event_id: str, now: float, links: Links) -> Change:
    delay = job.plan.url_delay
    files_at, due_at = (None, now + delay) if delay else (now, None)
    return move(
        job,
        JobStatus.COMPLETED,
        event_id=event_id,
        now=now,
        links=links,
        due_at=due_at,
        progress=100,
        files_at=files_at,
    )


def admit(job: Job, plan: Plan, *, event_id: str, now: float) -> Change:
    """The job after its preflight, at the beginning of its plan: of the one that what was found has made of it."""
    return _updated(job, event_id=event_id, now=now, plan=plan, in_preflight=False, **_waiting(plan, now))


def refuse(job: Job, message: str, *, event_type: str, event_id: str, now: float) -> Change:
    """The job as failed in its preflight, told of by that event rather than by `video_translate.fail`.

    Raises:
        ConflictError: The job has ended.
    """
    return move(
        job,
        JobStatus.FAILED,
        event_id=event_id,
        now=now,
        event_type=event_type,
        due_at=None,
        failure_message=message,
    )


def unfold(change: Change, *, ids: Ids, now: float, links: Links) -> list[Change]:
    """A change and every planned move that is due at the same instant, in order; for one transaction.

    Args:
        change: What has just become of a job.
        ids: Makes the events' ids.
        now: Unix seconds.
        links: Makes the URLs of a completed job's files.
    """
    changes = [change]
    while (due_at := changes[-1].job.due_at) is not None and due_at <= now:
        changes.append(advance(changes[-1].job, event_id=ids("evt"), now=now, links=links))
    return changes


def complete(job: Job, *, ids: Ids, now: float, links: Links) -> list[Change]:
    """The moves that complete a job now, whatever its plan says; a pending one runs first. For one transaction.

    Raises:
        ConflictError: The job has ended.
    """
    changes = []
    if job.status is JobStatus.PENDING:
        changes.append(move(job, JobStatus.RUNNING, event_id=ids("evt"), now=now, runs=job.runs + 1))
        job = changes[-1].job
    return [*changes, _completed(job, event_id=ids("evt"), now=now, links=links)]


def fail(job: Job, message: str, *, event_id: str, now: float) -> Change:
    """The job as failed now, whatever its plan says.

    Raises:
        ConflictError: The job has ended.
    """
    return move(job, JobStatus.FAILED, event_id=event_id, now=now, due_at=None, failure_message=message)


def stall(job: Job, *, event_id: str, now: float) -> Change:
    """The job as it is, with nothing planned any more: only a call moves it on.

    Raises:
        ConflictError: The job has ended.
    """
    if job.status.is_terminal:
        raise ConflictError(f"job {job.id} is {job.status} and cannot stall")
    return _updated(job, event_id=event_id, now=now, due_at=None, rank=None)


def reset(job: Job, *, event_id: str, now: float) -> Change:
    """The job back at the beginning of its plan, from whatever status; its sequence goes on."""
    return _moved(
        job,
        JobStatus.PENDING,
        event_id=event_id,
        now=now,
        progress=0,
        files_at=None,
        failure_message=None,
        cancelled_at=None,
        runs=0,
        **_waiting(job.plan, now),
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
