"""The calls about webhook endpoints: each as data, with its reader.

When an endpoint is made, renewed and removed is the registrar's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from video_translation_client._operations.operation import Operation, read_data, read_list

MARKER: Final = "video-translation-client"
"""The `description` of endpoints made here: a later run on the same URL may replace them."""
PAGE_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A webhook endpoint as the service describes it; `secret` and `cursor` come with its creation only."""

    endpoint_id: str
    url: str
    secret: str | None = field(default=None, repr=False)
    cursor: str | None = None
    ttl_seconds: float | None = None
    description: str | None = None
    has_description: bool = False

    def is_orphan_of(self, url: str) -> bool:
        """Whether an earlier run of this client on `url` left it behind.

        The real service has no descriptions: there, whoever registers a URL anew takes it over.
        """
        return self.url == url and (self.description == MARKER or not self.has_description)


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """One page of endpoints."""

    endpoints: tuple[Endpoint, ...]
    next_token: str | None


def create_endpoint(url: str, *, ttl_seconds: int | None, plain: bool = False) -> Operation[Endpoint]:
    """Register a URL for every type of event.

    Args:
        url: where the deliveries go.
        ttl_seconds: after how long without renewal the service forgets it; None means never.
        plain: only the real service's fields.
    """
    body: dict[str, Any] = {"url": url, "events": None}
    if not plain:
        body["description"] = MARKER
        if ttl_seconds is not None:
            body["ttl_seconds"] = ttl_seconds
    return Operation(
        "create_endpoint", "POST", "/v3/webhooks/endpoints", lambda answer: _read_endpoint(read_data(answer)), body=body
    )


def list_endpoints(token: str | None = None) -> Operation[EndpointPage]:
    """Read one page of the workspace's endpoints."""
    query: dict[str, str | int] = {"limit": PAGE_SIZE}
    if token is not None:
        query["token"] = token
    return Operation("list_endpoints", "GET", "/v3/webhooks/endpoints", _read_endpoints, query=query, repeatable=True)


def delete_endpoint(endpoint_id: str) -> Operation[None]:
    """Remove an endpoint."""
    return Operation("delete_endpoint", "DELETE", _endpoint_path(endpoint_id), lambda _: None, repeatable=True)


def renew_endpoint(endpoint_id: str) -> Operation[None]:
    """Start an endpoint's time to live anew."""
    path = _endpoint_path(endpoint_id) + "/renew"
    return Operation("renew_endpoint", "POST", path, lambda _: None, repeatable=True)


def _endpoint_path(endpoint_id: str) -> str:
    return f"/v3/webhooks/endpoints/{quote(endpoint_id, safe='')}"


def _read_endpoint(data: Any) -> Endpoint:
    if not isinstance(data, Mapping) or not isinstance(data.get("endpoint_id"), str):
        raise ValueError("an endpoint needs an `endpoint_id`")  # noqa: TRY004 - as above
    ttl = data.get("ttl_seconds")
    return Endpoint(
        endpoint_id=data["endpoint_id"],
        url=str(data.get("url", "")),
        secret=data.get("secret") or None,
        cursor=data.get("cursor") or None,
        ttl_seconds=float(ttl) if isinstance(ttl, int | float) else None,
        description=data.get("description"),
        has_description="description" in data,
    )


def _read_endpoints(answer: Any) -> EndpointPage:
    endpoints = tuple(_read_endpoint(item) for item in read_list(answer))
    return EndpointPage(endpoints, (answer.get("next_token") or None) if answer.get("has_more") else None)
