"""Which rows a reader wants, and for how long rows are kept.

How they are found is each engine's business.
"""

from dataclasses import dataclass

from video_translation_server.model import DeliveryState, JobStatus


@dataclass(frozen=True, slots=True)
class Retention:
    """How long things are kept, in seconds.

    Attributes:
        delivered: Deliveries that arrived.
        dead: Deliveries that did not, also those still held for a disabled endpoint; and events.
        bodies: What receivers answered, in the attempt log.
        assets: Uploaded files.
        films: Files that were made and that nobody has asked for since.
        film_bytes: How many bytes of those are kept at most; the one number that is no time.
    """

    delivered: float = 7 * 86400
    dead: float = 30 * 86400
    bodies: float = 7 * 86400
    assets: float = 30 * 86400
    films: float = 86400
    film_bytes: int = 1024**3


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs of a workspace a reader wants; None does not narrow.

    Attributes:
        created_after: Unix seconds.
    """

    status: JobStatus | None = None
    created_after: float | None = None


EVERY_JOB = JobFilter()


@dataclass(frozen=True, slots=True)
class DeliveryFilter:
    """Which deliveries of a workspace a reader wants; None does not narrow."""

    event_id: str | None = None
    endpoint_id: str | None = None
    job_id: str | None = None
    state: DeliveryState | None = None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events of a workspace a reader wants; None does not narrow. `entity_id` is a job's or a batch's id."""

    type: str | None = None
    entity_id: str | None = None
