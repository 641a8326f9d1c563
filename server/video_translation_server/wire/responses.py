"""What the API answers, as models: they document it (OpenAPI) and tests check the answers against them.

The answers themselves are built in `events` and in the API's modules, and encoded once.
"""

from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, Field

T = TypeVar("T")


class Answer(BaseModel, Generic[T]):
    """One object."""

    data: T


class Page(BaseModel, Generic[T]):
    """A page of a list; `next_token` goes into `token` to get the next one."""

    data: list[T]
    has_more: bool
    next_token: str | None


class Problem(BaseModel):
    """What went wrong: a code for programs, a message for people, the field at fault."""

    code: str
    message: str
    param: str | None = None


class ErrorAnswer(BaseModel):
    """The shape of every error."""

    error: Problem


class Created(BaseModel):
    """One job id per language, in the order of `output_languages`."""

    video_translation_ids: list[str]


class Translation(BaseModel):
    """A translation; the last eight fields are ours."""

    id: str
    title: str | None
    status: Literal["pending", "running", "completed", "failed"]
    input_language: str | None
    output_language: str
    translate_audio_only: bool
    duration: float | None
    video_url: str | None
    audio_url: str | None
    srt_caption_url: str | None
    vtt_caption_url: str | None
    failure_message: str | None
    callback_id: str | None
    created_at: int = Field(description="Unix seconds")
    sequence: int = Field(description="1, 2, 3, ... one per status transition, without gaps")
    progress: int = Field(ge=0, le=100)
    updated_at: float = Field(description="Unix seconds")
    cancelled_at: float | None = Field(description="Unix seconds")
    estimated_completion_at: float | None = Field(description="Unix seconds; null once it has ended")
    priority: int = Field(ge=0, le=9)
    queue_position: int | None = Field(description="1: next; exact to 1000; null outside of the line, and in lists")
    estimated_start_at: float | None = Field(description="Unix seconds; null once it runs, in line in lists too")


class Deleted(BaseModel):
    """What was deleted."""

    id: str


class Wallet(BaseModel):
    """Money that is not there: a simulated one never runs out."""

    currency: Literal["usd"]
    remaining_balance: float
    auto_reload: None


class User(BaseModel):
    """Who a key belongs to: here, its workspace."""

    username: str
    email: str
    first_name: str
    last_name: str
    billing_type: Literal["wallet"]
    wallet: Wallet


class Status(Translation):
    """A translation with its result in one word."""

    result: Literal["pending", "completed", "error"]


class Failure(BaseModel):
    """Why a job has failed: `cancelled` or `translation_failed`, and its message."""

    code: Literal["cancelled", "translation_failed"]
    message: str | None


class BulkStatus(BaseModel):
    """One job of many; the last two fields are ours. All but the id is null where it was not found."""

    batch_id: str | None
    item_index: int | None
    video_id: str | None
    status: Literal["queued", "processing", "completed", "failed", "not_found"]
    error: Failure | None
    sequence: int | None
    progress: int | None


class BatchItem(BaseModel):
    """One job of a batch, in the words of batches."""

    item_index: int
    video_id: str
    status: Literal["queued", "processing", "completed", "failed"]
    error: Failure | None


class BatchCounts(BaseModel):
    """How many jobs of a batch are in each state."""

    queued: int
    processing: int
    completed: int
    failed: int


class BatchSummary(BaseModel):
    """A batch without its items; also what its event tells."""

    batch_id: str
    title: str | None
    status: Literal["processing", "completed", "failed"]
    total_items: int
    counts_by_status: BatchCounts
    created_at: int = Field(description="Unix seconds")


class BatchAnswer(BatchSummary):
    """A batch with a page of its items."""

    items: list[BatchItem]
    has_more: bool
    next_token: str | None


class AssetAnswer(BaseModel):
    """An uploaded file, by what its first bytes say that it is."""

    asset_id: str
    mime_type: str
    size_bytes: int


class Languages(BaseModel):
    """Names, not codes."""

    languages: list[str]


class EndpointAnswer(BaseModel):
    """A webhook endpoint; times are ISO 8601."""

    endpoint_id: str
    url: str
    events: list[str] | None
    status: Literal["enabled", "disabled"]
    created_at: str
    entity_id: str | None
    description: str | None
    ttl_seconds: float | None
    expires_at: str | None
    headers: dict[str, str]
    ordering: Literal["job", "none"]
    max_in_flight: int | None
    rate_limit: float | None
    disabled_reason: str | None
    failing_since: str | None
    public_key: str | None = Field(description="whpk_...: verifies v1a signatures, where asked for")


class NewEndpoint(EndpointAnswer):
    """The answer to its creation: the only one with the secret, and with the cursor of its first event."""

    secret: str
    cursor: str


class NewSecret(BaseModel):
    """The new secret of an endpoint."""

    endpoint_id: str
    secret: str


class WorkspaceSecret(BaseModel):
    """What deliveries to a `callback_url` are signed with."""

    secret: str


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


class Health(BaseModel):
    """The server's own word on itself."""

    status: str
    detail: dict[str, Any] = {}


class WorkspaceAnswer(BaseModel):
    """A workspace."""

    workspace_id: str
    name: str
    created_at: str


class KeyAnswer(BaseModel):
    """A key of a workspace, without the key itself."""

    key_id: str
    workspace_id: str
    label: str | None
    created_at: str
    revoked_at: str | None


class NewKey(KeyAnswer):
    """A new key, shown this once."""

    key: str
