"""An endpoint: where events are delivered to, and how it is signed for.

How well it answers is looked after by the store's engines.
"""

from enum import StrEnum

import msgspec


class EndpointStatus(StrEnum):
    """Whether deliveries to an endpoint are sent or held."""

    ENABLED = "enabled"
    DISABLED = "disabled"


class Ordering(StrEnum):
    """Whether an endpoint gets the events of one job in sequence (the default) or as they come."""

    JOB = "job"
    NONE = "none"


class RetiredSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret that was rotated away and still signs beside the new one until `until`."""

    secret: str
    until: float


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook URL: registered, or the `callback_url` of one job or batch.

    Attributes:
        secret: Signs every delivery.
        retired: Older secrets in their overlap.
        private_key: An ed25519 key (`whsk_...`) that signs too, where the endpoint asked for one.
        events: The event types it wants; None means all but those that must be asked for by name.
        entity_id: Narrows it to the events of one job, or of one batch.
        headers: The user's own headers, sent with every delivery.
        max_in_flight: Attempts under way at once; None is the server's setting.
        rate_limit: Attempts per second; None is unlimited.
        is_callback: It belongs to one job or batch and is not listed.
        ttl_seconds: Its life without renewal; None lives until it is deleted.
        expires_at: When it is deleted unless renewed.
        disabled_reason: Why it is disabled, where it is.
        failing_since: When the first attempt after the last success failed; None while it answers.
    """

    id: str
    workspace_id: str
    url: str
    created_at: float
    secret: str
    retired: tuple[RetiredSecret, ...] = ()
    private_key: str | None = None
    events: tuple[str, ...] | None = None
    entity_id: str | None = None
    description: str | None = None
    headers: dict[str, str] = {}
    ordering: Ordering = Ordering.JOB
    max_in_flight: int | None = None
    rate_limit: float | None = None
    is_callback: bool = False
    ttl_seconds: float | None = None
    expires_at: float | None = None
    status: EndpointStatus = EndpointStatus.ENABLED
    disabled_reason: str | None = None
    failing_since: float | None = None
