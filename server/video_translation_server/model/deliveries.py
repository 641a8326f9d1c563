"""A delivery: one event on its way to one endpoint; and sweeps, which take deliveries up again.

What an attempt at one needs and comes to is in `attempts`.
"""

from enum import StrEnum

import msgspec


class DeliveryState(StrEnum):
    """Where one event stands on its way to one endpoint (docs/state_machines.md).

    WAITING means that an earlier event of the same job is not settled yet at this endpoint; SUPERSEDED that this
    one failed until a later snapshot of the job took its place.
    """

    WAITING = "waiting"
    DUE = "due"
    DELIVERED = "delivered"
    SUPERSEDED = "superseded"
    DEAD = "dead"

    @property
    def is_open(self) -> bool:
        """True while attempts are still to come."""
        return self in (DeliveryState.WAITING, DeliveryState.DUE)


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint."""

    id: int
    event_id: str
    event_type: str
    endpoint_id: str
    job_id: str | None
    sequence: int
    state: DeliveryState
    attempts: int
    due_at: float | None
    first_attempt_at: float | None
    settled_at: float | None


class SweepKind(StrEnum):
    """Which of an endpoint's events a sweep takes up again.

    RECOVER: what failed for good or was never sent. REPLAY: only what was never sent.
    """

    RECOVER = "recover"
    REPLAY = "replay"


class Sweep(msgspec.Struct, frozen=True, kw_only=True):
    """A walk through the log that makes missed events due again; durable, so that a crash only pauses it.

    Attributes:
        since: Events before this time are passed over.
        position: The log position up to which it has come.
        until: The log position at which it ends: the log's end when it was asked for.
        found: How many deliveries it has made due.
        finished_at: When it was done; None while it runs.
    """

    id: str
    workspace_id: str
    endpoint_id: str
    kind: SweepKind
    since: float
    created_at: float
    position: int = 0
    until: int = 0
    found: int = 0
    finished_at: float | None = None
