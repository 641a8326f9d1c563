"""Webhook bodies and the event log as models: the job's snapshot, notices, a page of the log.

The bytes that are sent are made in `wire.events`.
"""

from typing import Literal

from pydantic import BaseModel, Field

from video_translation_server.wire.responses.batches import BatchSummary
from video_translation_server.wire.responses.envelopes import Page


class EventData(BaseModel):
    """The job's snapshot in an event; `url` only on success, `message` only on failure."""

    video_translate_id: str
    callback_id: str | None
    output_language: str
    status: Literal["pending", "running", "completed", "failed"]
    result: Literal["pending", "completed", "error"]
    sequence: int = Field(ge=1)
    progress: int = Field(ge=0, le=100)
    url: str | None = None
    message: str | None = None
    title: str | None
    input_language: str | None
    translate_audio_only: bool
    duration: float | None
    video_url: str | None
    audio_url: str | None
    srt_caption_url: str | None
    vtt_caption_url: str | None
    failure_message: str | None
    created_at: int = Field(description="Unix seconds, of the job")
    updated_at: float = Field(description="Unix seconds")
    cancelled_at: float | None = Field(description="Unix seconds")
    estimated_completion_at: float | None = Field(description="Unix seconds; null once it has ended")


class EndpointDisabled(BaseModel):
    """`endpoint.disabled`: an endpoint was given up."""

    endpoint_id: str
    url: str
    reason: str


class EndpointRecovered(BaseModel):
    """`endpoint.recovered`: it answers again."""

    endpoint_id: str
    url: str
    failing_since: str = Field(description="ISO 8601")


class DeliveryExhausted(BaseModel):
    """`delivery.exhausted`: a delivery has used up its attempts."""

    endpoint_id: str
    url: str
    delivery_id: str
    event_id: str
    event_type: str
    video_translate_id: str | None
    attempts: int
    last_outcome: str
    last_status: int | None


class EndpointTest(BaseModel):
    """`endpoint.test`: sent on request."""

    endpoint_id: str


class EventBody(BaseModel):
    """The body of a webhook, and an item of the event log."""

    event_id: str
    event_type: str
    created_at: str = Field(description="ISO 8601, UTC, milliseconds")
    event_data: EventData | BatchSummary | EndpointDisabled | EndpointRecovered | DeliveryExhausted | EndpointTest


class EventPage(Page[EventBody]):
    """A page of the event log; `cursor` (only with `after`) is the place to read on from."""

    cursor: str | None = None
