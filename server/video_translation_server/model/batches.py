"""A batch: jobs that were asked for together.

Its jobs are jobs like any other (`jobs`); they name it, it only counts them.
"""

import msgspec

from video_translation_server.model.endpoints import Endpoint
from video_translation_server.model.jobs import JobStatus


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that were asked for together.

    Attributes:
        counts: How many of its jobs are in each status; those in none are left out.
        callback: The one-off endpoint of its `callback_url`, which a new batch may bring.
    """

    id: str
    workspace_id: str
    title: str | None
    created_at: float
    counts: dict[JobStatus, int]
    callback: "Endpoint | None" = None
