"""Webhook endpoints and their secrets in the API's answers.

What is on its way to them is in `deliveries`.
"""

from typing import Literal

from pydantic import BaseModel, Field


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
