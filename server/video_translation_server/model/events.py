"""An event, and the change that it comes from.

What its body says is written by `wire.events`.
"""

import msgspec

from video_translation_server.model.endpoints import Endpoint
from video_translation_server.model.jobs import Job


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the event log; `body` is the exact text that every attempt sends.

    Attributes:
        position: Place in the log, in commit order (decision 0008); 0 until the store has recorded it.
        job_id: The job that the event is about; None for a notice about an endpoint or a delivery.
        batch_id: The batch that it is about instead, where it is about one.
        sequence: The job's sequence at this event, 0 for a notice.
    """

    id: str
    workspace_id: str
    type: str
    created_at: float
    body: bytes
    job_id: str | None = None
    sequence: int = 0
    position: int = 0
    batch_id: str | None = None

    @property
    def entity_id(self) -> str | None:
        """What it is about: a job or a batch."""
        return self.job_id or self.batch_id


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A job's move and its event; recorded together or not at all.

    `job.version` is the version after the move: 1 creates the job, n replaces version n - 1. A new job may bring
    the one-off endpoint of its `callback_url`.
    """

    job: Job
    event: Event
    callback: Endpoint | None = None
