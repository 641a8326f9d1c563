"""`Retry-After` on answers about jobs that have not ended: when asking again may tell something new."""

import math
from collections.abc import Iterable

from video_translation_server.model import Job

SOONEST, LATEST = 1, 30
"""Seconds; a job may also move before its plan says so, for instance when it is cancelled."""


def when_to_ask(jobs: Iterable[Job], now: float) -> dict[str, str]:
    """The header for an answer about these jobs: the rest until the next planned move; none where all have ended."""
    due = [job.due_at for job in jobs if job.due_at is not None]
    if not due:
        return {}
    return {"Retry-After": str(min(max(math.ceil(min(due) - now), SOONEST), LATEST))}
