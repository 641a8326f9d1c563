"""Deliveries, their attempts and recoveries in the API's answers.

The values in them are made in `wire.deliveries`.
"""

from typing import Literal

from pydantic import BaseModel, Field


class DeliveryAnswer(BaseModel):
    """One event on its way to one endpoint; times are ISO 8601."""

    delivery_id: str
    event_id: str
    event_type: str
    endpoint_id: str
    video_translate_id: str | None
    sequence: int
    state: Literal["waiting", "due", "delivered", "superseded", "dead"]
    attempts: int
    due_at: str | None
    first_attempt_at: str | None
    settled_at: str | None


class AttemptAnswer(BaseModel):
    """One line of the attempt log."""

    number: int
    started_at: str
    duration_ms: float
    outcome: str
    status: int | None
    detail: str
    retry_after: str | None
    response_body: str = Field(description="The first 2 KiB, undecodable bytes replaced")
    address: str | None


class DeliveryWithAttempts(DeliveryAnswer):
    """A delivery with all its attempts, the oldest first."""

    attempt_log: list[AttemptAnswer]


class Recovery(BaseModel):
    """A sweep through the log for one endpoint; times are ISO 8601."""

    recovery_id: str
    endpoint_id: str
    kind: Literal["recover", "replay"]
    since: str
    status: Literal["running", "finished"]
    deliveries: int = Field(description="Made due so far")
    created_at: str
    finished_at: str | None
