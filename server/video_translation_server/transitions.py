"""The one door from a change to the store: record it, and log what took place.

Whoever moves a job (the API, the simulation) comes through here, so that no transition goes unlogged.
"""

from collections.abc import Sequence

import structlog

from video_translation_server.logs import Form, lines_together
from video_translation_server.model import Batch, Change
from video_translation_server.store import Keep, Store

log = structlog.get_logger("transition")
_TRANSITION = Form("transition", "status", "job_id", "sequence", "event_id", "workspace_id")


async def record(
    store: Store,
    changes: Sequence[Change],
    *,
    batch: Batch | None = None,
    at_most: int | None = None,
    keep: Keep[list[bool]] | None = None,
) -> list[bool]:
    """Commit changes as `Store.record` does, with one log line per transition that took place."""
    recorded = await store.record(changes, batch=batch, at_most=at_most, keep=keep)
    with lines_together(log) as tell:
        for change, took_place in zip(changes, recorded, strict=True):
            if took_place:
                job = change.job
                tell(_TRANSITION, "info", (job.status, job.id, job.sequence, change.event.id, job.workspace_id))
    return recorded
